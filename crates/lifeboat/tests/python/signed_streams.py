"""Bodies in chunks, as AWS documents them for Signature Version 4: signed, with trailers, and damaged in every way.

boto3 sends chunks over TLS only, so these are made by hand from the documentation, with nothing but the standard
library. Reads S3_ENDPOINT, S3_BUCKET and the usual AWS variables. Ends with the number of checks.
"""

import base64
import hashlib
import hmac
import http.client
import os
import re
import urllib.parse
import zlib
from datetime import datetime, timezone

ACCESS, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
HOST = urllib.parse.urlsplit(os.environ["S3_ENDPOINT"]).netloc
BUCKET = os.environ["S3_BUCKET"]
REGION = "us-east-1"
EMPTY = hashlib.sha256(b"").hexdigest()
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHUNK = 64 * 1024
checks = 0


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Request:
    """One signed request and the chain of signatures that its chunks go on with."""

    def __init__(self, method, key, payload, headers):
        self.method, self.path = method, "/" + urllib.parse.quote(f"{BUCKET}/{key}")
        self.time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.time[:8]}/{REGION}/s3/aws4_request"
        key = f"AWS4{SECRET}".encode()
        for step in [self.time[:8], REGION, "s3", "aws4_request"]:
            key = sign(key, step)
        self.key = key
        headers = {"host": HOST, "x-amz-date": self.time, "x-amz-content-sha256": payload, **headers}
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = f"{method}\n{self.path}\n\n{lines}\n{names}\n{payload}"
        self.signature = self.chain("AWS4-HMAC-SHA256", hashlib.sha256(canonical.encode()).hexdigest())
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS}/{self.scope},SignedHeaders={names},Signature={self.signature}")
        self.headers = headers

    def chain(self, kind, *rest):
        """The next signature: over the one before, for what is not the first."""
        self.signature = sign(self.key, "\n".join([kind, self.time, self.scope, *rest])).hex()
        return self.signature

    def chunk(self, data, signed):
        size = f"{len(data):x}"
        if signed:
            digest = hashlib.sha256(data).hexdigest()
            size += f";chunk-signature={self.chain('AWS4-HMAC-SHA256-PAYLOAD', self.signature, EMPTY, digest)}"
        return size.encode() + b"\r\n" + data

    def trailer(self, name, value, signed):
        lines = f"{name}:{value}\r\n"
        if signed:
            digest = hashlib.sha256(f"{name}:{value}\n".encode()).hexdigest()
            signature = self.chain("AWS4-HMAC-SHA256-TRAILER", self.signature, digest)
            lines += f"x-amz-trailer-signature:{signature}\r\n"
        return lines.encode()

    def send(self, body):
        connection = http.client.HTTPConnection(HOST, timeout=60)
        connection.putrequest(self.method, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**self.headers, "content-length": str(len(body))}.items():
            connection.putheader(name, value)
        try:
            connection.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read; the answer may still be there
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        code = re.search(rb"<Code>(\w+)</Code>", text)
        return answer.status, code.group(1).decode() if code else "", answer, text


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def put(key, data, payload, trailer=None, length=None, damage=lambda body: body, extra=None, chunk=CHUNK):
    headers = {"content-encoding": "aws-chunked",
               "x-amz-decoded-content-length": str(len(data) if length is None else length), **(extra or {})}
    if trailer:
        headers["x-amz-trailer"] = trailer[0]
    request = Request("PUT", key, payload, headers)
    signed = payload != UNSIGNED_TRAILER
    pieces = [data[start:start + chunk] for start in range(0, len(data), chunk)]
    body = b"".join(request.chunk(piece, signed) + b"\r\n" for piece in pieces)
    body += request.chunk(b"", signed)
    if trailer and trailer[1] is not None:
        body += request.trailer(*trailer, signed)
    return request.send(damage(body + b"\r\n"))


def get(key):
    status, code, answer, text = Request("GET", key, EMPTY, {"x-amz-checksum-mode": "ENABLED"}).send(b"")
    return status, code, answer, text


def check(found, expected, what):
    global checks
    checks += 1
    assert found == expected, f"{what}: expected {expected}, got {found}"


DATA = os.urandom(3 * CHUNK + 17)
GOOD = ("x-amz-checksum-crc32", crc32(DATA))


def accepted(what, payload, trailer=None, data=DATA, chunk=CHUNK):
    status, code, _, text = put("stream", data, payload, trailer, chunk=chunk)
    check((status, code), (200, ""), f"{what} {text[:300]}")
    status, _, answer, text = get("stream")
    check((status, text), (200, data), f"{what}, read back")
    check(answer.getheader("content-encoding"), None, f"{what}: how it travelled is not kept")
    if trailer:
        check(answer.getheader(trailer[0]), trailer[1], f"{what}: the trailer is kept")


def refused(what, codes, *arguments, **options):
    status, code, _, text = put("refused", *arguments, **options)
    check((400 <= status < 500, code in codes), (True, True), f"{what}: {status} {code} {text[:300]}")
    check(get("refused")[0], 404, f"{what} leaves nothing")


def flip(position):
    def damage(body):
        return body[:position] + bytes([body[position] ^ 1]) + body[position + 1:]
    return damage


def flip_first_of(content):
    return lambda body: flip(body.rindex(content))(body)


def spoil_signature(name):
    def damage(body):
        at = body.rindex(name) + len(name)
        return body[:at] + (b"0" if body[at:at + 1] != b"0" else b"1") + body[at + 1:]
    return damage


accepted("signed chunks", SIGNED)
accepted("signed chunks without content", SIGNED, data=b"")
accepted("one signed chunk of one byte", SIGNED, data=b"x")
accepted("one signed chunk larger than any buffer", SIGNED, data=os.urandom(20 << 20), chunk=20 << 20)
accepted("many signed chunks of a few bytes", SIGNED, chunk=100)
accepted("signed chunks with a trailer", SIGNED_TRAILER, GOOD)
accepted("unsigned chunks with a trailer", UNSIGNED_TRAILER, GOOD)
accepted("unsigned chunks with a trailer without content", UNSIGNED_TRAILER, ("x-amz-checksum-crc32", crc32(b"")), data=b"")
sha = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
accepted("a trailer with SHA-256", UNSIGNED_TRAILER, ("x-amz-checksum-sha256", sha))

wrong = ("x-amz-checksum-crc32", crc32(DATA + b"!"))
mismatch = ["SignatureDoesNotMatch"]
digest = ["BadDigest"]
cut = ["IncompleteBody"]
refused("a flipped bit in a signed chunk", mismatch, DATA, SIGNED, damage=flip(200))
refused("a flipped bit in the last signed chunk", mismatch, DATA, SIGNED, damage=flip_first_of(DATA[3 * CHUNK:]))
refused("a wrong signature of the last chunk", mismatch, DATA, SIGNED, damage=spoil_signature(b"chunk-signature="))
refused("a wrong signature of the trailers", mismatch, DATA, SIGNED_TRAILER, GOOD,
        damage=spoil_signature(b"x-amz-trailer-signature:"))
refused("a flipped bit in an unsigned chunk", digest, DATA, UNSIGNED_TRAILER, GOOD, damage=flip(200))
refused("a signed trailer with a wrong checksum", digest, DATA, SIGNED_TRAILER, wrong)
refused("an unsigned trailer with a wrong checksum", digest, DATA, UNSIGNED_TRAILER, wrong)
refused("a trailer that was announced and did not come", digest + cut + ["MalformedTrailerError", "InvalidDigest", "InvalidRequest"],
        DATA, UNSIGNED_TRAILER, ("x-amz-checksum-crc32", None))
refused("a signed trailer that was announced and did not come", mismatch, DATA, SIGNED_TRAILER, ("x-amz-checksum-crc32", None))
refused("a trailer where none may be", cut, DATA, SIGNED, damage=lambda body: body[:-2] + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n")
refused("more bytes than announced", cut, DATA, SIGNED, length=len(DATA) - 1)
refused("fewer bytes than announced", cut, DATA, SIGNED, length=len(DATA) + 1)
refused("chunks cut at the end of one", cut, DATA, SIGNED, damage=lambda body: body[:body.index(b"\r\n10000;") + 2])
refused("chunks cut inside one", cut, DATA, SIGNED, damage=lambda body: body[:1000])
refused("chunks without the last, empty one", cut, DATA, SIGNED, damage=lambda body: body[:body.rindex(b"0;chunk-")])
refused("a header and a trailer with a checksum", ["InvalidRequest"], DATA, UNSIGNED_TRAILER, GOOD,
        extra={"x-amz-checksum-crc32": GOOD[1]})
refused("a wrong Content-MD5", digest, DATA, SIGNED,
        extra={"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()})


def whole(what, data, sent, codes):
    """One body, not in chunks, signed by its SHA-256."""
    status, code, _, text = Request("PUT", "whole", hashlib.sha256(data).hexdigest(), {}).send(sent)
    check((status == 200, code in codes), (not code, True), f"{what}: {status} {code} {text[:300]}")
    check(get("whole")[0], 404 if code else 200, what)


wrong_digest = ["XAmzContentSHA256Mismatch"]
whole("a body that is not what was signed", DATA, DATA[:-1] + b"!", wrong_digest)
whole("a small body that is not what was signed", b"x", b"y", wrong_digest)
whole("an empty body where bytes were signed", b"x", b"", wrong_digest)
whole("a body that is what was signed", DATA, DATA, [""])
print(f"{checks} streams answered as documented")
