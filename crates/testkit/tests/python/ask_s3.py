"""Asks an S3 server for a bucket, stores three objects and reads them back, all signed; says in a line what it is like."""

import hashlib
import os
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

BUCKET = "witness"

endpoint = os.environ["S3_ENDPOINT"]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    config=botocore.config.Config(
        s3={"addressing_style": "path"}, retries={"max_attempts": 1}
    ),
)


def parts(key, bytes):
    """Uploads the same bytes as two parts."""
    target = {"Bucket": BUCKET, "Key": key}
    target["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]
    uploaded = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**target, PartNumber=number, Body=bytes)["ETag"],
        }
        for number in (1, 2)
    ]
    s3.complete_multipart_upload(**target, MultipartUpload={"Parts": uploaded})


def create_again(key):
    try:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"other", IfNoneMatch="*")
        return "overwritten"
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]


def unsigned(key):
    try:
        return urllib.request.urlopen(f"{endpoint}/{BUCKET}/{key}").status
    except urllib.error.HTTPError as error:
        return error.code


body = os.urandom(300_000)
part = os.urandom(5 * 1024 * 1024)
s3.create_bucket(Bucket=BUCKET)
put = s3.put_object(Bucket=BUCKET, Key="dir/plain", Body=body, Metadata={"who": "me"})
parts("dir/parts", part)
s3.put_object(Bucket=BUCKET, Key="dir/empty", Body=b"")

got = s3.get_object(Bucket=BUCKET, Key="dir/plain")
assert got["Body"].read() == body
assert got["Metadata"] == {"who": "me"}, got["Metadata"]
whole = s3.get_object(Bucket=BUCKET, Key="dir/parts")["Body"].read()
assert whole == part + part
listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="dir/")["Contents"]
keys = [entry["Key"] for entry in listed]
assert keys == ["dir/empty", "dir/parts", "dir/plain"], keys

md5 = put["ETag"].strip('"') == hashlib.md5(body).hexdigest()
print(
    "etag {}, listed as {}; encryption {}; create again: {}; unsigned: {}".format(
        "md5" if md5 else "not md5",
        "put" if listed[2]["ETag"] == put["ETag"] else "another",
        put.get("ServerSideEncryption", "none"),
        create_again("dir/plain"),
        unsigned("dir/plain"),
    )
)
