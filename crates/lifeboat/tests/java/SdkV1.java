// The calls of Elasticsearch 7.17 to 8.18, made with the SDK that it has: version 1 for Java, over HTTP, in signed chunks.
//
// Reads S3_ENDPOINT, STORE_LACKS and the key pair of the usual variables. Ends with the number of checks; fails at the first wrong answer.

import com.amazonaws.ClientConfiguration;
import com.amazonaws.Request;
import com.amazonaws.Response;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.handlers.RequestHandler2;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.amazonaws.services.s3.model.*;
import java.io.ByteArrayInputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

public class SdkV1 {
    static final int MIB = 1024 * 1024;
    static final String BUCKET = "sdk1-" + UUID.randomUUID();
    static final AtomicInteger CHECKS = new AtomicInteger();
    /** How the bodies of writes were signed, as "operation header". */
    static final Set<String> SIGNED = new ConcurrentSkipListSet<>();
    static final AmazonS3 S3 = client(false);

    static AmazonS3 client(boolean inOnePiece) {
        var keys = new BasicAWSCredentials(System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY"));
        return AmazonS3ClientBuilder.standard()
            .withCredentials(new AWSStaticCredentialsProvider(keys))
            .withEndpointConfiguration(new EndpointConfiguration(System.getenv("S3_ENDPOINT"), "us-east-1"))
            .withClientConfiguration(new ClientConfiguration().withMaxErrorRetry(0).withUseExpectContinue(true))
            .withPathStyleAccessEnabled(true)
            .withChunkedEncodingDisabled(inOnePiece)
            .withRequestHandlers(new RequestHandler2() {
                @Override
                public void afterResponse(Request<?> request, Response<?> response) {
                    var sent = request.getOriginalRequest().getClass().getSimpleName();
                    SIGNED.add(sent + " " + request.getHeaders().get("x-amz-content-sha256"));
                }
            })
            .build();
    }

    public static void main(String[] arguments) {
        try {
            run();
        } catch (Throwable error) {
            error.printStackTrace();
            // Last, because whoever runs this shows only the end: what went wrong, and at which line of this file.
            for (var cause = error; cause != null; cause = cause.getCause()) {
                System.err.println("failed: " + cause);
                for (var frame : cause.getStackTrace()) {
                    if (frame.getClassName().startsWith("SdkV1")) {
                        System.err.println("  in line " + frame.getLineNumber() + " of SdkV1.java");
                        break;
                    }
                }
            }
            System.exit(1);
        }
        System.exit(0);
    }

    static void run() throws Exception {
        S3.createBucket(BUCKET);
        objects();
        parts();
        listing();
        deletes();
        uploads();
        if (can("complete-races")) {
            register();
        }
        System.out.println(CHECKS + " answers were those that Elasticsearch counts on");
    }

    /** PutObject, the SDK's own comparison of the MD5 with the etag, HEAD, GET in ranges. */
    static void objects() throws Exception {
        for (int length : new int[] {0, 1, 65536, 131072, 3 * MIB + 17}) {
            for (AmazonS3 client : List.of(S3, client(true))) {
                var content = noise(length);
                var metadata = new ObjectMetadata();
                metadata.setContentLength(length);
                metadata.addUserMetadata("purpose", "SnapshotData");
                var request = new PutObjectRequest(BUCKET, "indices/x/" + length, new ByteArrayInputStream(content), metadata)
                    .withStorageClass(StorageClass.Standard)
                    .withCannedAcl(CannedAccessControlList.Private);
                request.putCustomQueryParameter("x-purpose", "SnapshotData");
                request.getRequestClientOptions().setReadLimit(8 * MIB);
                checkMd5(client.putObject(request).getETag(), content, "the etag of " + length + " bytes");
                check(Arrays.equals(read(new GetObjectRequest(BUCKET, "indices/x/" + length)), content), length + " bytes");
            }
        }
        check(SIGNED.contains("PutObjectRequest STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "signed in chunks: " + SIGNED);
        check(SIGNED.stream().anyMatch(way -> way.matches("PutObjectRequest [0-9a-f]{64}")), "signed in one piece: " + SIGNED);

        var key = "indices/x/" + (3 * MIB + 17);
        var head = S3.getObjectMetadata(BUCKET, key);
        check(head.getContentLength() == 3 * MIB + 17, "length");
        check(head.getUserMetaDataOf("purpose").equals("SnapshotData"), "metadata");
        check(head.getLastModified() != null, "modified");
        var whole = read(new GetObjectRequest(BUCKET, key));
        for (long[] range : new long[][] {{0, 0}, {65535, 65536}, {MIB, 2 * MIB}, {3 * MIB, 3 * MIB + 16}, {3 * MIB, 9 * MIB}}) {
            var end = (int) Math.min(range[1] + 1, whole.length);
            var part = read(new GetObjectRequest(BUCKET, key).withRange(range[0], range[1]));
            check(Arrays.equals(part, Arrays.copyOfRange(whole, (int) range[0], end)), "range " + Arrays.toString(range));
        }
        var rest = read(new GetObjectRequest(BUCKET, key).withRange(3 * MIB));
        check(rest.length == 17, "an open range");
        refused(416, "InvalidRange", () -> S3.getObject(new GetObjectRequest(BUCKET, key).withRange(4 * MIB, 5 * MIB)));
        refused(404, "NoSuchKey", () -> S3.getObject(BUCKET, "nothing"));
        refused(404, "NoSuchBucket", () -> S3.getObject(BUCKET + "-other", "nothing"));
        check(!S3.doesObjectExist(BUCKET, "nothing"), "nothing there");
        // A reader that has seen enough cuts the connection.
        var left = S3.getObject(BUCKET, key);
        left.getObjectContent().read(new byte[10]);
        left.getObjectContent().abort();
    }

    static void parts() throws Exception {
        var content = noise(12 * MIB + 5);
        var start = new InitiateMultipartUploadRequest(BUCKET, "indices/multipart")
            .withStorageClass(StorageClass.Standard)
            .withCannedACL(CannedAccessControlList.Private);
        var id = S3.initiateMultipartUpload(start).getUploadId();
        var tags = new ArrayList<PartETag>();
        var sums = MessageDigest.getInstance("MD5");
        for (int number = 1; number <= 3; number++) {
            var bytes = Arrays.copyOfRange(content, (number - 1) * 5 * MIB, Math.min(number * 5 * MIB, content.length));
            tags.add(part("indices/multipart", id, number, bytes));
            checkMd5(tags.get(number - 1).getETag(), bytes, "the etag of part " + number);
            sums.update(HexFormat.of().parseHex(tags.get(number - 1).getETag()));
        }
        check(SIGNED.contains("UploadPartRequest STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "parts signed in chunks: " + SIGNED);
        check(!S3.doesObjectExist(BUCKET, "indices/multipart"), "parts are no object");
        check(S3.listParts(new ListPartsRequest(BUCKET, "indices/multipart", id)).getParts().size() == 3, "parts listed");
        var done = S3.completeMultipartUpload(new CompleteMultipartUploadRequest(BUCKET, "indices/multipart", id, tags));
        check(done.getETag().equals(HexFormat.of().formatHex(sums.digest()) + "-3"), "the etag of all parts: " + done.getETag());
        check(Arrays.equals(read(new GetObjectRequest(BUCKET, "indices/multipart")), content), "all parts");
        var across = read(new GetObjectRequest(BUCKET, "indices/multipart").withRange(5 * MIB - 3, 5 * MIB + 2));
        check(Arrays.equals(across, Arrays.copyOfRange(content, 5 * MIB - 3, 5 * MIB + 3)), "a range across parts");
    }

    /** ListObjects of version 1, with and without the delimiter, page by page. */
    static void listing() {
        var names = new TreeSet<String>(IntStream.range(0, 25).mapToObj(n -> "list/snap-" + (char) ('a' + n) + ".dat").toList());
        names.addAll(List.of("list/a b+c&d<e>", "list/ünï €", "list/index-0"));
        for (var name : names) {
            S3.putObject(BUCKET, name, name);
        }
        S3.putObject(BUCKET, "list/indices/0/one", "");
        S3.putObject(BUCKET, "list/indices/1/two", "");
        for (int page : new int[] {1000, 7, 1}) {
            var found = new ArrayList<String>();
            var folders = new ArrayList<String>();
            var request = new ListObjectsRequest().withBucketName(BUCKET).withPrefix("list/").withDelimiter("/").withMaxKeys(page);
            for (var listed = S3.listObjects(request);; listed = S3.listNextBatchOfObjects(listed)) {
                listed.getObjectSummaries().forEach(one -> found.add(one.getKey()));
                folders.addAll(listed.getCommonPrefixes());
                if (!listed.isTruncated()) {
                    break;
                }
            }
            check(found.size() == names.size() && names.containsAll(found), "pages of " + page + ": " + found);
            check(folders.equals(List.of("list/indices/")), "folders in pages of " + page + ": " + folders);
        }
        var narrow = S3.listObjects(new ListObjectsRequest().withBucketName(BUCKET).withPrefix("list/index-"));
        check(narrow.getObjectSummaries().size() == 1, "one by prefix");
        check(narrow.getObjectSummaries().get(0).getSize() == "list/index-0".length(), "its size");
        checkMd5(narrow.getObjectSummaries().get(0).getETag(), "list/index-0".getBytes(), "its etag");
        check(S3.listObjects(BUCKET, "absent/").getObjectSummaries().isEmpty(), "nothing by prefix");
    }

    /** A thousand keys at once, most of which are not there. */
    static void deletes() {
        var kept = "list/index-0";
        var keys = S3.listObjects(BUCKET, "list/").getObjectSummaries().stream()
            .map(S3ObjectSummary::getKey).filter(key -> !key.equals(kept)).collect(Collectors.toList());
        while (keys.size() < 1000) {
            keys.add("list/gone-" + keys.size());
        }
        var request = new DeleteObjectsRequest(BUCKET).withKeys(keys.toArray(new String[0]));
        check(S3.deleteObjects(request.withQuiet(false)).getDeletedObjects().size() == 1000, "a thousand deleted");
        check(S3.deleteObjects(request.withQuiet(true)).getDeletedObjects().isEmpty(), "quietly once more");
        var left = S3.listObjects(BUCKET, "list/").getObjectSummaries();
        check(left.size() == 1 && left.get(0).getKey().equals(kept), "the other stays");
        S3.deleteObject(BUCKET, kept);
        S3.deleteObject(BUCKET, kept);
        keys.add("one too many");
        refused(400, "MalformedXML", () -> S3.deleteObjects(new DeleteObjectsRequest(BUCKET).withKeys(keys.toArray(new String[0]))));
    }

    /** What is said of uploads that are under way, aborted or completed. */
    static void uploads() {
        check(open("registers/").isEmpty(), "no upload yet");
        var ids = new TreeSet<String>();
        for (var key : List.of("registers/a", "registers/b", "registers/a", "elsewhere/a")) {
            var id = S3.initiateMultipartUpload(new InitiateMultipartUploadRequest(BUCKET, key)).getUploadId();
            check(key.startsWith("elsewhere") || ids.add(id), "an id of its own");
        }
        var listed = can("upload-prefixes") ? open("registers/")
            : Stream.of("registers/a", "registers/b").flatMap(key -> open(key).stream()).toList();
        check(listed.stream().map(MultipartUpload::getUploadId).collect(Collectors.toSet()).equals(ids), "all and only those of the prefix");
        check(listed.stream().map(MultipartUpload::getKey).toList().equals(List.of("registers/a", "registers/a", "registers/b")), "by key");
        var now = System.currentTimeMillis();
        check(listed.stream().allMatch(one -> Math.abs(now - one.getInitiated().getTime()) < 600_000), "begun just now");
        var aborted = listed.get(0);
        S3.abortMultipartUpload(new AbortMultipartUploadRequest(BUCKET, aborted.getKey(), aborted.getUploadId()));
        check(open("registers/a").size() == 1, "an aborted one is gone from the list");
        refused(404, "NoSuchUpload", () -> part(aborted.getKey(), aborted.getUploadId(), 1, new byte[5]));
        refused(404, "NoSuchUpload", () -> S3.listParts(new ListPartsRequest(BUCKET, aborted.getKey(), aborted.getUploadId())));
        refused(404, "NoSuchUpload", () -> S3.completeMultipartUpload(new CompleteMultipartUploadRequest(
            BUCKET, aborted.getKey(), aborted.getUploadId(), List.of(new PartETag(1, md5(new byte[5]))))));
        if (can("unknown-uploads")) {
            refused(404, "NoSuchUpload", () -> {
                S3.abortMultipartUpload(new AbortMultipartUploadRequest(BUCKET, aborted.getKey(), "no-such-upload"));
                return null;
            });
        }
        for (var key : List.of("registers/a", "registers/b", "elsewhere/a")) {
            for (var left : open(key)) {
                S3.abortMultipartUpload(new AbortMultipartUploadRequest(BUCKET, left.getKey(), left.getUploadId()));
            }
            check(open(key).isEmpty(), "none is left of " + key);
        }
    }

    /** Threads that add to one number, each change by the lowest of the uploads under way: none may be lost. */
    static void register() throws Exception {
        int threads = 4;
        int each = 5;
        var key = "registers/contended";
        var pool = Executors.newFixedThreadPool(threads);
        var running = new ArrayList<Future<?>>();
        for (int thread = 0; thread < threads; thread++) {
            running.add(pool.submit(() -> {
                for (int added = 0; added < each;) {
                    var before = value(key);
                    if (exchange(key, before, before + 1)) {
                        added++;
                    }
                }
                return null;
            }));
        }
        for (var one : running) {
            one.get();
        }
        pool.shutdown();
        check(value(key) == threads * each, "every addition counts: " + value(key));
        check(open(key).isEmpty(), "no upload is left");
    }

    /** Replaces the number if it is `expected`. May refuse for another writer's sake, then changes nothing. */
    static boolean exchange(String key, long expected, long wanted) {
        var mine = S3.initiateMultipartUpload(new InitiateMultipartUploadRequest(BUCKET, key)).getUploadId();
        try {
            var tag = part(key, mine, 1, Long.toString(wanted).getBytes());
            var all = open(key);
            check(all.stream().allMatch(one -> one.getKey().equals(key)), "only uploads of the key");
            var lowest = all.stream().map(MultipartUpload::getUploadId).min(Comparator.naturalOrder()).orElse("");
            if (!lowest.equals(mine)) {
                abort(key, mine);
                return false;
            }
            all.stream().map(MultipartUpload::getUploadId).filter(id -> !id.equals(mine)).forEach(id -> abort(key, id));
            if (value(key) != expected) {
                abort(key, mine);
                return false;
            }
            S3.completeMultipartUpload(new CompleteMultipartUploadRequest(BUCKET, key, mine, List.of(tag)));
            return true;
        } catch (AmazonS3Exception error) {
            // Somebody with a lower id has aborted it.
            check(error.getStatusCode() == 404 && error.getErrorCode().equals("NoSuchUpload"), error.toString());
            return false;
        }
    }

    static void abort(String key, String id) {
        try {
            S3.abortMultipartUpload(new AbortMultipartUploadRequest(BUCKET, key, id));
        } catch (AmazonS3Exception error) {
            check(error.getStatusCode() == 404 && error.getErrorCode().equals("NoSuchUpload"), error.toString());
        }
    }

    static long value(String key) {
        try {
            return Long.parseLong(S3.getObjectAsString(BUCKET, key));
        } catch (AmazonS3Exception error) {
            check(error.getStatusCode() == 404 && error.getErrorCode().equals("NoSuchKey"), error.toString());
            return 0;
        }
    }

    static List<MultipartUpload> open(String prefix) {
        return S3.listMultipartUploads(new ListMultipartUploadsRequest(BUCKET).withPrefix(prefix)).getMultipartUploads();
    }

    static PartETag part(String key, String id, int number, byte[] bytes) {
        return S3.uploadPart(new UploadPartRequest()
            .withBucketName(BUCKET).withKey(key).withUploadId(id).withPartNumber(number)
            .withInputStream(new ByteArrayInputStream(bytes)).withPartSize(bytes.length)).getPartETag();
    }

    static byte[] read(GetObjectRequest request) throws Exception {
        try (var object = S3.getObject(request)) {
            return object.getObjectContent().readAllBytes();
        }
    }

    static byte[] noise(int length) {
        var bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    static String md5(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(bytes));
        } catch (java.security.NoSuchAlgorithmException error) {
            throw new AssertionError(error);
        }
    }

    /** Whether the store behind the gateway can do something, so that the gateway can too; said where it cannot. */
    static boolean can(String what) {
        boolean lacks = List.of(System.getenv().getOrDefault("STORE_LACKS", "").split(" ")).contains(what);
        if (lacks) {
            System.out.println("left out, for the store lacks it: " + what);
        }
        return !lacks;
    }

    /** Where the store encrypts, an etag is anything but an MD5, and the SDK must see that itself. */
    static void checkMd5(String etag, byte[] bytes, String what) {
        check(can("md5-etags") ? etag.equals(md5(bytes)) : etag.matches("[0-9a-f]{32}"), what + ": " + etag);
    }

    static void check(boolean holds, String what) {
        CHECKS.incrementAndGet();
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void refused(int status, String code, Callable<?> call) {
        try {
            call.call();
        } catch (AmazonS3Exception error) {
            var found = error.getStatusCode() + " " + error.getErrorCode();
            check(found.equals(status + " " + code), "expected " + status + " " + code + ", got " + found);
            return;
        } catch (Exception error) {
            throw new AssertionError("expected " + status + " " + code, error);
        }
        throw new AssertionError("should have been refused with " + code);
    }
}
