"""Makes a container, commits a blob from blocks and reads it back, all signed with the account's key."""

import base64
import email.utils
import hashlib
import hmac
import os
import urllib.error
import urllib.parse
import urllib.request

endpoint = os.environ["AZURE_ENDPOINT"]
account = os.environ["AZURE_ACCOUNT"]
key = base64.b64decode(os.environ["AZURE_KEY"])


def call(method, path, body=None, key=key):
    """Sends a request signed with a shared key and returns status and body."""
    url = urllib.parse.urlsplit(f"{endpoint}/{path}")
    headers = {
        "x-ms-date": email.utils.formatdate(usegmt=True),
        "x-ms-version": "2021-12-02",
    }
    if body is not None:
        headers["Content-Type"] = "application/octet-stream"
    length = str(len(body)) if body else ""
    lines = [method, "", "", length, "", headers.get("Content-Type", "")] + [""] * 6
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name[0] == "x"]
    # The account is in the path already, and is named again before it.
    lines.append(f"/{account}{url.path}")
    lines += [f"{name}:{value}" for name, value in sorted(urllib.parse.parse_qsl(url.query))]
    digest = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
    headers["Authorization"] = (
        f"SharedKey {account}:{base64.b64encode(digest).decode()}"
    )
    request = urllib.request.Request(url.geturl(), body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


block = base64.b64encode(b"0001").decode()
container = call("PUT", "witness?restype=container", b"")
staged = call(
    "PUT", f"witness/blob?comp=block&blockid={urllib.parse.quote(block)}", b"some bytes"
)
committed = call(
    "PUT",
    "witness/blob?comp=blocklist",
    f"<BlockList><Latest>{block}</Latest></BlockList>".encode(),
)
read = call("GET", "witness/blob")
stranger = call("GET", "witness/blob", key=b"another key")
print(
    f"container {container[0]}, block {staged[0]}, commit {committed[0]}; "
    f"read {read[0]} {read[1].decode()!r}; with another key {stranger[0]}"
)
