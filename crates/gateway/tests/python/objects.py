"""Fills a bucket as clients do, cuts a write off, and shows all that can be known of the objects in it, as JSON.

usage: objects.py ENDPOINT ACCESS SECRET fill s3proxy|minio|lifeboat
       objects.py ENDPOINT ACCESS SECRET add
       objects.py ENDPOINT ACCESS SECRET cut FOLDER
       objects.py ENDPOINT ACCESS SECRET show
"""

import glob
import hashlib
import json
import os
import socket
import sys
import time
import urllib.parse

import boto3
from botocore.config import Config

MIB = 1 << 20
BUCKET = "bucket"
HEADERS = {
    "ContentType": "text/plain",
    "CacheControl": "max-age=5",
    "ContentDisposition": "attachment; filename=x",
    "ContentEncoding": "gzip",
    "ContentLanguage": "nl",
    "Expires": "2030-01-01T00:00:00Z",
    "Metadata": {"Some-Name": "value", "other": "v2", "mtime": "123.5"},
}


def client(endpoint, access, secret):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            read_timeout=300,
            retries={"max_attempts": 5},
        ),
    )


def parts(s3, key, sizes, **options):
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)["UploadId"]
    sent = []
    for number, size in sizes:
        body = bytes([number]) * size
        part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body)
        sent.append({"PartNumber": number, "ETag": part["ETag"]})
    return upload, sent


def multipart(s3, key, sizes, **options):
    upload, sent = parts(s3, key, sizes, **options)
    s3.complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": sent}
    )


def fill(s3, server):
    for bucket in [BUCKET, "empty-bucket"]:
        s3.create_bucket(Bucket=bucket)

    def put(key, body=b"content", **options):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, **options)

    def copy(source, key, **options):
        s3.copy_object(
            Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": source}, **options
        )

    put("plain", b"plain")
    put("meta", b"meta", **HEADERS)
    put("empty", b"")
    put("reduced", StorageClass="REDUCED_REDUNDANCY")
    put("a/b/c/nested", b"nested")
    put("sp ace/a+b%20c&d=\u00fc\u20ac\U0001f600\"'<>", b"special")
    put("back\\slash")
    put("col:on*?|")
    put("new\nline")
    put("looks-01234567-89ab-4def-8123-456789abcdef", b"an object of that name")
    put(".mpus-no-upload", b"shown by MinIO, not by s3proxy")
    put("over", b"1", Metadata={"old": "1"})
    put("over", b"22")
    put("gone")
    s3.delete_object(Bucket=BUCKET, Key="gone")
    put("folder/", b"")
    if server == "s3proxy":
        put("full-folder/", b"", ContentType="application/x-directory", Metadata={"k": "v"})
        put("full-folder/inside")
    if server == "lifeboat":
        for key in ["both", "both/below", "x//y", "../up", "k" * 300]:
            put(key)
    multipart(
        s3, "parts/two", [(1, 5 * MIB), (2, 7)],
        ContentType="video/x", Metadata={"p": "q"}, CacheControl="no-store",
    )
    multipart(s3, "parts/one", [(1, 3)])
    multipart(s3, "parts/gap", [(2, 5 * MIB), (5, 5 * MIB + 9), (9, 1)])
    parts(s3, "parts/unfinished", [(1, 5 * MIB)])
    copy("meta", "copies/meta")
    copy("parts/two", "copies/parts")
    copy("meta", "copies/replaced", MetadataDirective="REPLACE", ContentType="a/b", Metadata={"z": "1"})
    copy("plain", "plain", MetadataDirective="REPLACE", Metadata={"self": "1"})


def add(s3):
    """Writes to a bucket that another server filled: new objects, new bytes for old keys, copies of old ones."""
    s3.put_object(Bucket=BUCKET, Key="added", Body=b"added", **HEADERS)
    s3.put_object(Bucket=BUCKET, Key="over", Body=b"333", Metadata={"new": "3"})
    multipart(s3, "parts/added", [(1, 5 * MIB), (2, 1)], ContentType="video/y")
    for source in ["meta", "parts/two", "added", "parts/added"]:
        origin = {"Bucket": BUCKET, "Key": source}
        s3.copy_object(Bucket=BUCKET, Key=f"copied/{source}", CopySource=origin)
        s3.copy_object(
            Bucket=BUCKET, Key=f"changed/{source}", CopySource=origin,
            MetadataDirective="REPLACE", ContentType="c/d", Metadata={"changed": "yes"},
        )


def cut(s3, folder):
    """Sends half of an object and ends. The server has it in a file by then."""
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "cut"})
    url = urllib.parse.urlsplit(url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 4000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 2000000)
        deadline = time.monotonic() + 60
        while not glob.glob(os.path.join(folder, BUCKET, "cut-*")):
            if time.monotonic() > deadline:
                sys.exit("no file of the unfinished write")


def show(s3):
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            listed[entry["Key"]] = entry
    objects = {}
    for key, entry in listed.items():
        got = s3.get_object(Bucket=BUCKET, Key=key)
        body = got.pop("Body").read()
        head = s3.head_object(Bucket=BUCKET, Key=key)
        objects[key] = {
            "list": known(entry, ["ETag", "Size", "LastModified", "StorageClass"]),
            "head": known(head, SHOWN),
            "get": known(got, SHOWN),
            "md5": hashlib.md5(body).hexdigest(),
        }
        if key.endswith("/"):
            # s3proxy has an etag for it in listings alone.
            objects[key]["head"].pop("ETag", None)
            objects[key]["get"].pop("ETag", None)
    prefixes = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/").get("CommonPrefixes", [])
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    shown = {
        "buckets": [bucket for bucket in buckets if not bucket.startswith(".")],
        "prefixes": [prefix["Prefix"] for prefix in prefixes],
        "objects": objects,
    }
    json.dump(shown, sys.stdout, indent=1, sort_keys=True)


SHOWN = [
    "ETag", "ContentLength", "LastModified", "ContentType", "CacheControl", "ContentDisposition",
    "ContentEncoding", "ContentLanguage", "Expires", "Metadata", "StorageClass",
]


def known(answer, names):
    """What an answer says, times in whole seconds, and nothing for what every object is."""
    found = {}
    for name in names:
        value = answer.get(name)
        if name in ("LastModified", "Expires") and value is not None:
            value = int(value.timestamp())
        if name == "Metadata" and value:
            # Names of headers: the same in capitals and small letters.
            value = {key.lower(): text for key, text in value.items()}
        if value not in (None, {}, "STANDARD"):
            found[name] = value
    return found


def main():
    endpoint, access, secret, action, *rest = sys.argv[1:]
    s3 = client(endpoint, access, secret)
    {"fill": fill, "add": add, "cut": cut, "show": show}[action](s3, *rest)


main()
