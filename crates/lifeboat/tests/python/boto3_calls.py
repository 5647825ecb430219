"""Every S3 call of the gateway through boto3, each answer compared with what AWS documents.

Reads S3_ENDPOINT and the usual AWS variables. Ends with the number of checks; fails at the first wrong answer.
"""

import base64
import hashlib
import io
import os
import urllib.error
import urllib.request
import uuid
import zlib

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

# What the store behind the gateway cannot do, so that the gateway, which passes on what it says, cannot either.
lacks = set(os.environ.get("STORE_LACKS", "").split())
checks = 0
MIB = 1024 * 1024


def check(holds, what):
    global checks
    checks += 1
    assert holds, what


def refused(code, status, call, **arguments):
    """The call must fail with this S3 code and HTTP status."""
    try:
        call(**arguments)
    except ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        check(found == (code, status), f"expected {code} {status}, got {found}")
        return
    raise AssertionError(f"{call.__name__} should have been refused with {code}")


def check_md5(etag, md5, what):
    """The ETag is the MD5, or the store encrypts and says so elsewhere."""
    if "md5-etags" in lacks:
        check(etag != f'"{md5}"', f"{what}: the store was thought to have other ETags")
    else:
        check(etag == f'"{md5}"', what)


def client(**config):
    return boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT"],
        region_name="eu-west-7",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, **config),
    )


s3 = client()
bucket = f"calls-{uuid.uuid4().hex[:12]}"


def buckets():
    refused("404", 404, s3.head_bucket, Bucket=bucket)
    refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    check(s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200, "head bucket")
    check(bucket in [found["Name"] for found in s3.list_buckets()["Buckets"]], "list buckets")
    s3.get_bucket_location(Bucket=bucket)


def objects():
    body = b"the quick brown fox " * 500
    md5 = hashlib.md5(body).hexdigest()
    put = s3.put_object(
        Bucket=bucket, Key="dir/a b+c%.txt", Body=body, ContentType="text/x-fox",
        CacheControl="no-cache", Metadata={"colour": "brown", "legs": "4"},
    )
    check_md5(put["ETag"], md5, "the ETag of a PUT is its MD5")
    head = s3.head_object(Bucket=bucket, Key="dir/a b+c%.txt")
    check(head["ContentLength"] == len(body), "head length")
    check(head["ContentType"] == "text/x-fox" and head["CacheControl"] == "no-cache", "headers come back")
    check(head["Metadata"] == {"colour": "brown", "legs": "4"}, "metadata comes back")
    check(head["ETag"] == put["ETag"], "head ETag")
    get = s3.get_object(Bucket=bucket, Key="dir/a b+c%.txt")
    check(get["Body"].read() == body, "get")
    for text, expected in [("bytes=0-9", body[:10]), ("bytes=100-", body[100:]), ("bytes=-7", body[-7:]),
                           ("bytes=9990-20000", body[9990:])]:
        part = s3.get_object(Bucket=bucket, Key="dir/a b+c%.txt", Range=text)
        check(part["Body"].read() == expected, text)
        check(part["ResponseMetadata"]["HTTPStatusCode"] == 206, text)
    refused("InvalidRange", 416, s3.get_object, Bucket=bucket, Key="dir/a b+c%.txt", Range="bytes=10000-")
    refused("PreconditionFailed", 412, s3.get_object, Bucket=bucket, Key="dir/a b+c%.txt", IfMatch='"x"')
    refused("304", 304, s3.get_object, Bucket=bucket, Key="dir/a b+c%.txt", IfNoneMatch=put["ETag"])
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="absent")
    refused("404", 404, s3.head_object, Bucket=bucket, Key="absent")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    check(s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b"", "an empty object")


def checksums():
    body = b"checked " * 1000
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    s3.put_object(Bucket=bucket, Key="md5", Body=body, ContentMD5=digest)
    refused("BadDigest", 400, s3.put_object, Bucket=bucket, Key="md5-wrong", Body=body + b"!", ContentMD5=digest)
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    put = s3.put_object(Bucket=bucket, Key="crc", Body=body, ChecksumCRC32=crc)
    check(put.get("ChecksumCRC32") == crc, "the checksum of a PUT is told")
    head = s3.head_object(Bucket=bucket, Key="crc", ChecksumMode="ENABLED")
    check(head.get("ChecksumCRC32") == crc, "the checksum is kept")
    wrong = base64.b64encode((zlib.crc32(body) ^ 1).to_bytes(4, "big")).decode()
    refused("BadDigest", 400, s3.put_object, Bucket=bucket, Key="crc-wrong", Body=body, ChecksumCRC32=wrong)
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    put = s3.put_object(Bucket=bucket, Key="sha", Body=body, ChecksumSHA256=sha)
    check(put.get("ChecksumSHA256") == sha, "SHA-256")
    for absent in ["md5-wrong", "crc-wrong"]:
        refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key=absent)


def conditions():
    first = s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
    refused("PreconditionFailed", 412, s3.put_object, Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*")
    refused("PreconditionFailed", 412, s3.put_object, Bucket=bucket, Key="once", Body=b"2", IfMatch='"wrong"')
    s3.put_object(Bucket=bucket, Key="once", Body=b"3", IfMatch=first["ETag"])
    check(s3.get_object(Bucket=bucket, Key="once")["Body"].read() == b"3", "If-Match replaces")
    refused("NoSuchKey", 404, s3.put_object, Bucket=bucket, Key="never", Body=b"4", IfMatch=first["ETag"])


def copies():
    s3.put_object(Bucket=bucket, Key="source", Body=b"copy me", Metadata={"kept": "yes"}, ContentType="text/one")
    s3.copy_object(Bucket=bucket, Key="kept", CopySource={"Bucket": bucket, "Key": "source"})
    head = s3.head_object(Bucket=bucket, Key="kept")
    check(head["Metadata"] == {"kept": "yes"} and head["ContentType"] == "text/one", "copy keeps metadata")
    s3.copy_object(
        Bucket=bucket, Key="replaced", CopySource=f"/{bucket}/source", MetadataDirective="REPLACE",
        Metadata={"new": "1"}, ContentType="text/two",
    )
    head = s3.head_object(Bucket=bucket, Key="replaced")
    check(head["Metadata"] == {"new": "1"} and head["ContentType"] == "text/two", "copy replaces metadata")
    source = s3.head_object(Bucket=bucket, Key="source")
    check(source["Metadata"] == {"kept": "yes"}, "a copy leaves its source alone")
    s3.copy_object(
        Bucket=bucket, Key="source", CopySource=f"{bucket}/source", MetadataDirective="REPLACE", Metadata={"self": "2"},
    )
    check(s3.head_object(Bucket=bucket, Key="source")["Metadata"] == {"self": "2"}, "copy onto itself")
    check(s3.head_object(Bucket=bucket, Key="kept")["Metadata"] == {"kept": "yes"}, "the earlier copy is untouched")
    refused("NoSuchKey", 404, s3.copy_object, Bucket=bucket, Key="x", CopySource=f"{bucket}/absent")
    s3.delete_object(Bucket=bucket, Key="source")
    check(s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"copy me", "a copy outlives its source")


def listings():
    prefix = "list/"
    keys = ["list/a/b", "list/a/c", "list/b!", "list/b/1", "list/ü", "list/z z", "list/z&<>", "list/dir/"]
    if "nesting" not in lacks:
        keys.append("list/a")
    empty = "folder-content" in lacks
    tags = {key: s3.put_object(Bucket=bucket, Key=key, Body=b"" if empty and key.endswith("/") else key.encode())["ETag"]
            for key in keys}
    ordered = sorted(keys, key=lambda key: key.encode())
    for list_one, token_in, token_out in [
        (s3.list_objects_v2, "ContinuationToken", "NextContinuationToken"), (s3.list_objects, "Marker", "NextMarker"),
    ]:
        found, arguments = [], {}
        while True:
            page = list_one(Bucket=bucket, Prefix=prefix, MaxKeys=2, **arguments)
            check(len(page.get("Contents", [])) <= 2, "a page is no longer than asked")
            found += [entry["Key"] for entry in page.get("Contents", [])]
            if not page["IsTruncated"]:
                break
            arguments = {token_in: page.get(token_out) or found[-1]}
        check(found == ordered, f"{list_one.__name__}: {found}")
    page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
    check([entry["Prefix"] for entry in page["CommonPrefixes"]] == ["list/a/", "list/b/", "list/dir/"], "prefixes")
    beside = [key for key in ordered if "/" not in key[len(prefix):]]
    check([entry["Key"] for entry in page["Contents"]] == beside, "keys beside prefixes")
    after = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter="list/b/1")
    check([entry["Key"] for entry in after["Contents"]] == [key for key in ordered if key > "list/b/1"], "start after")
    entry = s3.list_objects_v2(Bucket=bucket, Prefix="list/a/b")["Contents"][0]
    check(entry["Size"] == 8 and entry["ETag"] == tags["list/a/b"], "size and ETag in a list")
    check(s3.list_objects_v2(Bucket=bucket, Prefix="nothing/")["KeyCount"] == 0, "an empty list")


def multipart():
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(123)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="multi", Metadata={"by": "parts"}, ContentType="x/y")
    upload_id = upload["UploadId"]
    tags = {}
    for number in [3, 1, 2]:
        tags[number] = s3.upload_part(
            Bucket=bucket, Key="multi", UploadId=upload_id, PartNumber=number, Body=parts[number - 1])["ETag"]
    check_md5(tags[1], hashlib.md5(parts[0]).hexdigest(), "the ETag of a part is its MD5")
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="multi")
    listed = s3.list_parts(Bucket=bucket, Key="multi", UploadId=upload_id)
    check([(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 5 * MIB), (2, 5 * MIB), (3, 123)],
          "list parts")
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix="multi" if "upload-prefixes" in lacks else "mul")
    check([(one["Key"], one["UploadId"]) for one in uploads["Uploads"]] == [("multi", upload_id)], "list uploads")
    chosen = [{"PartNumber": number, "ETag": tags[number]} for number in [1, 2, 3]]
    wrong = [dict(chosen[0], ETag='"0"'), *chosen[1:]]
    refused("InvalidPart", 400, s3.complete_multipart_upload, Bucket=bucket, Key="multi", UploadId=upload_id,
            MultipartUpload={"Parts": wrong})
    refused("InvalidPartOrder", 400, s3.complete_multipart_upload, Bucket=bucket, Key="multi", UploadId=upload_id,
            MultipartUpload={"Parts": chosen[::-1]})
    done = s3.complete_multipart_upload(Bucket=bucket, Key="multi", UploadId=upload_id, MultipartUpload={"Parts": chosen})
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    check_md5(done["ETag"], f"{hashlib.md5(digests).hexdigest()}-3", "the ETag of parts")
    get = s3.get_object(Bucket=bucket, Key="multi")
    check(get["Body"].read() == b"".join(parts), "the parts in order")
    check(get["Metadata"] == {"by": "parts"} and get["ContentType"] == "x/y", "metadata of an upload")
    check("Uploads" not in s3.list_multipart_uploads(Bucket=bucket, Prefix="multi"), "a completed upload is not listed")
    told = s3.get_object_attributes(
        Bucket=bucket, Key="multi", ObjectAttributes=["ETag", "ObjectParts", "ObjectSize", "StorageClass"])
    check(told["ObjectSize"] == sum(map(len, parts)) and told["StorageClass"] == "STANDARD", "size and class")
    check(told["ETag"].strip('"') == done["ETag"].strip('"'), "the ETag among the attributes")
    if "attribute-parts" not in lacks:
        check(told["ObjectParts"]["TotalPartsCount"] == 3, "the number of parts")
    refused("NoSuchKey", 404, s3.get_object_attributes, Bucket=bucket, Key="absent", ObjectAttributes=["ETag"])
    if "unknown-uploads" not in lacks:
        refused("NoSuchUpload", 404, s3.abort_multipart_upload, Bucket=bucket, Key="multi", UploadId="01ABSENT")

    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="small")["UploadId"]
    small = [{"PartNumber": number, "ETag": s3.upload_part(
        Bucket=bucket, Key="small", UploadId=upload_id, PartNumber=number, Body=b"x")["ETag"]} for number in [1, 2]]
    refused("EntityTooSmall", 400, s3.complete_multipart_upload, Bucket=bucket, Key="small", UploadId=upload_id,
            MultipartUpload={"Parts": small})
    s3.abort_multipart_upload(Bucket=bucket, Key="small", UploadId=upload_id)
    refused("NoSuchUpload", 404, s3.complete_multipart_upload, Bucket=bucket, Key="small", UploadId=upload_id,
            MultipartUpload={"Parts": small})

    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="by-copy")["UploadId"]
    source = {"Bucket": bucket, "Key": "multi"}
    copied = [s3.upload_part_copy(Bucket=bucket, Key="by-copy", UploadId=upload_id, PartNumber=number, CopySource=source,
                                  CopySourceRange=text)["CopyPartResult"]["ETag"]
              for number, text in [(1, f"bytes=0-{5 * MIB - 1}"), (2, "bytes=100-199")]]
    s3.complete_multipart_upload(Bucket=bucket, Key="by-copy", UploadId=upload_id, MultipartUpload={
        "Parts": [{"PartNumber": number + 1, "ETag": tag} for number, tag in enumerate(copied)]})
    whole = b"".join(parts)
    check(s3.get_object(Bucket=bucket, Key="by-copy")["Body"].read() == whole[:5 * MIB] + whole[100:200], "part copies")


def high_level():
    body = os.urandom(20 * MIB + 11)
    s3.upload_fileobj(io.BytesIO(body), bucket, "high/level")
    check(s3.get_object(Bucket=bucket, Key="high/level")["Body"].read() == body, "the transfer manager")


def presigned():
    s3.put_object(Bucket=bucket, Key="pre", Body=b"signed")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "pre"}, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        check(answer.read() == b"signed", "a presigned GET")
    url = client(signature_version="s3v4").generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "pre-put"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(url, data=b"put", method="PUT")) as answer:
        check(answer.status == 200, "a presigned PUT")
    check(s3.get_object(Bucket=bucket, Key="pre-put")["Body"].read() == b"put", "what a presigned PUT wrote")
    try:
        urllib.request.urlopen(url.replace("pre-put", "another"))
        raise AssertionError("a changed URL was accepted")
    except urllib.error.HTTPError as error:
        check(error.code == 403, "a changed URL is refused")
    try:
        urllib.request.urlopen(f"{os.environ['S3_ENDPOINT']}/{bucket}/pre")
        raise AssertionError("an anonymous request was accepted")
    except urllib.error.HTTPError as error:
        check(error.code == 403, "anonymous requests are refused")


def keys():
    long = "k/" + "x" * 1000
    names = [long, "a/../b", "./c", "d//e", "/f", ".", "..", "g/.", "h\u00e9llo \u4e16\u754c", "i\\j", "*?[", "nl\nkey"]
    if "strange-keys" in lacks:
        names = ["k/" + "x" * 200, "h\u00e9llo \u4e16\u754c", "a b+c%25", "*?["]
    for name in names:
        s3.put_object(Bucket=bucket, Key=f"keys-{name}" if name.startswith("nl") else name, Body=name.encode())
    for name in names:
        key = f"keys-{name}" if name.startswith("nl") else name
        check(s3.get_object(Bucket=bucket, Key=key)["Body"].read() == name.encode(), f"the key {key!r}")
    refused("KeyTooLongError", 400, s3.put_object, Bucket=bucket, Key="y" * 1025, Body=b"")
    if "strange-keys" in lacks:
        return
    control = [f"control-{character}-key" for character in "\x01\x1f\ufffe"]
    s3.put_object(Bucket=bucket, Key="return\rkey", Body=b"")
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "return\rkey"}]})["Deleted"]
    check([one["Key"] for one in gone] == ["return\rkey"], "a carriage return comes back as one")
    for key in control:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
        check([entry["Key"] for entry in listed] == [key], "a control character in a listing")
        refused("MalformedXML", 400, s3.delete_objects, Bucket=bucket,
                Delete={"Objects": [{"Key": long}, {"Key": key}]})
        s3.head_object(Bucket=bucket, Key=key)
        s3.head_object(Bucket=bucket, Key=long)
        s3.delete_object(Bucket=bucket, Key=key)


def deletes():
    everything = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        everything += [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
    refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="absent")
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": everything + [{"Key": "absent"}]})
    check(len(gone["Deleted"]) == len(everything) + 1 and "Errors" not in gone, "delete objects")
    check(s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0, "everything is deleted")
    s3.delete_bucket(Bucket=bucket)
    refused("404", 404, s3.head_bucket, Bucket=bucket)


def wrong_keys():
    wrong = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"], region_name="us-east-1",
                         aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="not the secret key",
                         config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
    refused("SignatureDoesNotMatch", 403, wrong.list_buckets)
    unknown = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"], region_name="us-east-1",
                           aws_access_key_id="nobody", aws_secret_access_key="nothing",
                           config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
    refused("InvalidAccessKeyId", 403, unknown.list_buckets)


for group in [buckets, objects, checksums, conditions, copies, listings, multipart, high_level, presigned, keys,
              wrong_keys, deletes]:
    try:
        group()
    except Exception:
        print(f"in {group.__name__}, after {checks} checks:")
        raise
print(f"{checks} calls answered as documented")
