// The calls of Elasticsearch 9.2 and later and of OpenSearch 3, made with the SDK that they have: version 2 for Java, over HTTP.
//
// Reads S3_ENDPOINT, STORE_LACKS and the key pair of the usual variables. Ends with the number of checks; fails at the first wrong answer.

import java.net.URI;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.s3.LegacyMd5Plugin;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.*;

public class SdkV2 {
    static final int MIB = 1024 * 1024;
    static final String BUCKET = "sdk2-" + UUID.randomUUID();
    static final AtomicInteger CHECKS = new AtomicInteger();
    /** How writes were signed and what was said of their checksums, as "operation x-amz-content-sha256 x-amz-trailer". */
    static final Set<String> SIGNED = new ConcurrentSkipListSet<>();
    /** As the SDK is without any setting: a checksum with every write, checked on every read. */
    static final S3Client S3 = client(Checksums.ALWAYS);
    /** As stores that know no checksums need it: Content-MD5 where one is required. */
    static final S3Client OLD = client(Checksums.WHEN_REQUIRED);

    enum Checksums { ALWAYS, WHEN_REQUIRED }

    static S3Client client(Checksums checksums) {
        var keys = AwsBasicCredentials.create(System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY"));
        var noted = new ExecutionInterceptor() {
            @Override
            public void beforeTransmission(Context.BeforeTransmission context, ExecutionAttributes attributes) {
                var request = context.httpRequest();
                SIGNED.add(context.request().getClass().getSimpleName()
                    + " " + request.firstMatchingHeader("x-amz-content-sha256").orElse("")
                    + " " + request.firstMatchingHeader("x-amz-trailer").orElse(""));
            }
        };
        var builder = S3Client.builder()
            .endpointOverride(URI.create(System.getenv("S3_ENDPOINT")))
            .region(Region.US_EAST_1)
            .credentialsProvider(StaticCredentialsProvider.create(keys))
            .forcePathStyle(true)
            .httpClientBuilder(UrlConnectionHttpClient.builder())
            .overrideConfiguration(it -> it.retryStrategy(DefaultRetryStrategy.doNotRetry()).addExecutionInterceptor(noted));
        if (checksums == Checksums.WHEN_REQUIRED) {
            builder.requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
                .addPlugin(LegacyMd5Plugin.create());
        }
        return builder.build();
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
                    if (frame.getClassName().startsWith("SdkV2")) {
                        System.err.println("  in line " + frame.getLineNumber() + " of SdkV2.java");
                        break;
                    }
                }
            }
            System.exit(1);
        }
        System.exit(0);
    }

    static void run() throws Exception {
        S3.createBucket(it -> it.bucket(BUCKET));
        for (var client : List.of(S3, OLD)) {
            objects(client);
            parts(client);
            copies(client);
            listingAndDeletes(client);
        }
        check(SIGNED.stream().anyMatch(way -> way.startsWith("PutObjectRequest STREAMING-") && way.endsWith("x-amz-checksum-crc32")),
            "bodies in chunks with a CRC32 behind them: " + SIGNED);
        onlyOnce();
        register();
        System.out.println(CHECKS.get() + " answers were those that Elasticsearch counts on");
    }

    static void objects(S3Client client) throws Exception {
        for (int length : new int[] {0, 1, 131072, 3 * MIB + 17}) {
            var content = noise(length);
            var key = "indices/x/" + length;
            var put = client.putObject(it -> it.bucket(BUCKET).key(key).storageClass(StorageClass.STANDARD).acl(ObjectCannedACL.PRIVATE)
                .metadata(java.util.Map.of("purpose", "data"))
                .overrideConfiguration(o -> o.putRawQueryParameter("x-purpose", "SnapshotData")), RequestBody.fromBytes(content));
            checkMd5(put.eTag(), content, "the etag of " + length + " bytes");
            if (client == S3) {
                check(crc32(content).equals(put.checksumCRC32()), "the checksum of " + length + " bytes: " + put.checksumCRC32());
            }
            var got = client.getObjectAsBytes(it -> it.bucket(BUCKET).key(key));
            check(Arrays.equals(got.asByteArray(), content), length + " bytes");
            check(got.response().metadata().equals(java.util.Map.of("purpose", "data")), "metadata");
        }
        var key = "indices/x/" + (3 * MIB + 17);
        var whole = noise(3 * MIB + 17);
        var head = client.headObject(it -> it.bucket(BUCKET).key(key));
        check(head.contentLength() == whole.length, "length");
        // As Elasticsearch resumes a read that broke off.
        var rest = client.getObjectAsBytes(it -> it.bucket(BUCKET).key(key).range("bytes=" + MIB + "-").ifMatch(head.eTag()));
        check(Arrays.equals(rest.asByteArray(), Arrays.copyOfRange(whole, MIB, whole.length)), "the rest");
        check(rest.response().contentRange().equals("bytes " + MIB + "-" + (whole.length - 1) + "/" + whole.length), "its range");
        refused(412, "PreconditionFailed", () -> client.getObjectAsBytes(it -> it.bucket(BUCKET).key(key).ifMatch("\"other\"")));
        refused(416, "InvalidRange", () -> client.getObjectAsBytes(it -> it.bucket(BUCKET).key(key).range("bytes=9999999-")));
        refused(404, "NoSuchKey", () -> client.getObjectAsBytes(it -> it.bucket(BUCKET).key("nothing")));
        refused(404, "NoSuchBucket", () -> client.listObjectsV2(it -> it.bucket(BUCKET + "-other")));
        refused(404, null, () -> client.headObject(it -> it.bucket(BUCKET).key("nothing")));
    }

    static void parts(S3Client client) throws Exception {
        var content = noise(11 * MIB);
        var start = client.createMultipartUpload(it -> it.bucket(BUCKET).key("multipart")
            .checksumAlgorithm(client == S3 ? ChecksumAlgorithm.CRC32 : null));
        var parts = upload(client, "multipart", start.uploadId(), content);
        check(client.listParts(it -> it.bucket(BUCKET).key("multipart").uploadId(start.uploadId())).parts().size() == 3, "parts listed");
        var done = client.completeMultipartUpload(it -> it.bucket(BUCKET).key("multipart").uploadId(start.uploadId())
            .multipartUpload(parts));
        check(done.eTag().matches("\"[0-9a-f]{32}-3\""), done.eTag());
        check(Arrays.equals(client.getObjectAsBytes(it -> it.bucket(BUCKET).key("multipart")).asByteArray(), content), "all parts");

        if (can("attribute-dates")) {
            attributes(client, content.length, done.eTag());
        }
        var broken = client.createMultipartUpload(it -> it.bucket(BUCKET).key("broken")).uploadId();
        check(client.listMultipartUploads(it -> it.bucket(BUCKET).prefix("broken")).uploads().size() == 1, "under way");
        client.abortMultipartUpload(it -> it.bucket(BUCKET).key("broken").uploadId(broken));
        check(client.listMultipartUploads(it -> it.bucket(BUCKET).prefix("broken")).uploads().isEmpty(), "aborted");
        refused(404, "NoSuchUpload", () -> client.completeMultipartUpload(it -> it.bucket(BUCKET).key("broken").uploadId(broken)
            .multipartUpload(CompletedMultipartUpload.builder().parts(parts.parts()).build())));
        if (can("unknown-uploads")) {
            refused(404, "NoSuchUpload", () -> client.abortMultipartUpload(it -> it.bucket(BUCKET).key("broken").uploadId(broken)));
        }
    }

    /** As OpenSearch asks before it reads in parts. */
    static void attributes(S3Client client, long length, String etag) {
        var attributes = client.getObjectAttributes(it -> it.bucket(BUCKET).key("multipart")
            .objectAttributes(ObjectAttributes.OBJECT_SIZE, ObjectAttributes.OBJECT_PARTS, ObjectAttributes.E_TAG, ObjectAttributes.CHECKSUM));
        check(attributes.objectSize() == length, "size");
        if (can("attribute-parts")) {
            check(attributes.objectParts().totalPartsCount() == 3, "parts counted");
        }
        check(attributes.eTag().replace("\"", "").equals(etag.replace("\"", "")), "etag: " + attributes.eTag());
        if (client == S3) {
            check(attributes.checksum().checksumCRC32() != null, "checksum");
        }
    }

    static CompletedMultipartUpload upload(S3Client client, String key, String id, byte[] content) throws Exception {
        var parts = new ArrayList<CompletedPart>();
        for (int from = 0; from < content.length; from += 5 * MIB) {
            int number = parts.size() + 1;
            var bytes = Arrays.copyOfRange(content, from, Math.min(from + 5 * MIB, content.length));
            var stored = client.uploadPart(it -> it.bucket(BUCKET).key(key).uploadId(id).partNumber(number), RequestBody.fromBytes(bytes));
            checkMd5(stored.eTag(), bytes, "the etag of part " + number);
            parts.add(CompletedPart.builder().partNumber(number).eTag(stored.eTag()).checksumCRC32(stored.checksumCRC32()).build());
        }
        return CompletedMultipartUpload.builder().parts(parts).build();
    }

    /** As Elasticsearch copies a blob: at once, or in parts where it is large. */
    static void copies(S3Client client) throws Exception {
        var whole = noise(11 * MIB);
        var copied = client.copyObject(it -> it.sourceBucket(BUCKET).sourceKey("multipart").destinationBucket(BUCKET).destinationKey("copy €"));
        check(copied.copyObjectResult().eTag() != null, "etag of a copy");
        check(Arrays.equals(client.getObjectAsBytes(it -> it.bucket(BUCKET).key("copy €")).asByteArray(), whole), "a copy");
        var id = client.createMultipartUpload(it -> it.bucket(BUCKET).key("copy in parts")).uploadId();
        var parts = new ArrayList<CompletedPart>();
        for (int from = 0; from < whole.length; from += 6 * MIB) {
            int number = parts.size() + 1;
            var range = "bytes=" + from + "-" + (Math.min(from + 6 * MIB, whole.length) - 1);
            var part = client.uploadPartCopy(it -> it.sourceBucket(BUCKET).sourceKey("copy €").copySourceRange(range)
                .destinationBucket(BUCKET).destinationKey("copy in parts").uploadId(id).partNumber(number)).copyPartResult();
            parts.add(CompletedPart.builder().partNumber(number).eTag(part.eTag()).build());
        }
        client.completeMultipartUpload(it -> it.bucket(BUCKET).key("copy in parts").uploadId(id).multipartUpload(m -> m.parts(parts)));
        check(Arrays.equals(client.getObjectAsBytes(it -> it.bucket(BUCKET).key("copy in parts")).asByteArray(), whole), "a copy in parts");
        refused(404, "NoSuchKey", () -> client.copyObject(it -> it.sourceBucket(BUCKET).sourceKey("nothing").destinationBucket(BUCKET)
            .destinationKey("x")));
    }

    static void listingAndDeletes(S3Client client) {
        var names = IntStream.range(0, 12).mapToObj(n -> "list/a b+c&<" + (char) ('a' + n) + "> é").toList();
        for (var name : names) {
            client.putObject(it -> it.bucket(BUCKET).key(name), RequestBody.fromString(name));
        }
        client.putObject(it -> it.bucket(BUCKET).key("list/below/x"), RequestBody.empty());
        for (int page : new int[] {1000, 5, 1}) {
            var pages = client.listObjectsV2Paginator(it -> it.bucket(BUCKET).prefix("list/").delimiter("/").maxKeys(page));
            check(pages.contents().stream().map(S3Object::key).toList().equals(names), "pages of " + page);
            check(pages.commonPrefixes().stream().map(CommonPrefix::prefix).toList().equals(List.of("list/below/")), "folders by " + page);
        }
        var gone = new ArrayList<>(names);
        gone.addAll(List.of("list/below/x", "list/never"));
        var deleted = client.deleteObjects(it -> it.bucket(BUCKET).delete(d -> d.quiet(false)
            .objects(gone.stream().map(key -> ObjectIdentifier.builder().key(key).build()).toList())));
        check(deleted.deleted().size() == 14 && deleted.errors().isEmpty(), "deleted: " + deleted);
        check(client.listObjectsV2(it -> it.bucket(BUCKET).prefix("list/")).keyCount() == 0, "nothing is left");
    }

    /** If-None-Match on both ways to write: of writers at once one wins, and what is there is not replaced. */
    static void onlyOnce() throws Exception {
        S3.putObject(it -> it.bucket(BUCKET).key("once").ifNoneMatch("*"), RequestBody.fromString("first"));
        refused(412, "PreconditionFailed", () -> S3.putObject(it -> it.bucket(BUCKET).key("once").ifNoneMatch("*"), RequestBody.fromString("second")));
        var id = S3.createMultipartUpload(it -> it.bucket(BUCKET).key("once")).uploadId();
        var parts = upload(S3, "once", id, noise(100));
        refused(412, "PreconditionFailed", () -> S3.completeMultipartUpload(it -> it.bucket(BUCKET).key("once").uploadId(id)
            .ifNoneMatch("*").multipartUpload(parts)));
        S3.abortMultipartUpload(it -> it.bucket(BUCKET).key("once").uploadId(id));
        check(text("once").equals("first"), "the first stays");

        var inParts = can("complete-races");
        var won = new AtomicInteger();
        together(8, writer -> {
            try {
                if (writer % 2 == 0 || !inParts) {
                    S3.putObject(it -> it.bucket(BUCKET).key("race").ifNoneMatch("*"), RequestBody.fromString("writer " + writer));
                } else {
                    var mine = S3.createMultipartUpload(it -> it.bucket(BUCKET).key("race")).uploadId();
                    var own = upload(S3, "race", mine, ("writer " + writer).getBytes());
                    S3.completeMultipartUpload(it -> it.bucket(BUCKET).key("race").uploadId(mine).ifNoneMatch("*").multipartUpload(own));
                }
                won.incrementAndGet();
            } catch (S3Exception error) {
                check(error.statusCode() == 412 || error.statusCode() == 409, error.toString());
            }
        });
        check(won.get() == 1, won + " of eight were the first");
    }

    /** Threads that add to one number by If-Match, in one piece and in parts: none of what they add may be lost. */
    static void register() throws Exception {
        refused(404, "NoSuchKey", () -> S3.putObject(it -> it.bucket(BUCKET).key("register").ifMatch("\"x\""), RequestBody.fromString("1")));
        S3.putObject(it -> it.bucket(BUCKET).key("register").ifNoneMatch("*"), RequestBody.fromString("0"));
        refused(412, "PreconditionFailed", () -> S3.putObject(it -> it.bucket(BUCKET).key("register").ifMatch("\"" + md5("1".getBytes()) + "\""),
            RequestBody.fromString("1")));
        var inParts = can("complete-races");
        int writers = 4;
        int each = 12;
        var lost = new AtomicInteger();
        together(writers, writer -> {
            for (int added = 0; added < each;) {
                ResponseBytes<GetObjectResponse> before = S3.getObjectAsBytes(it -> it.bucket(BUCKET).key("register"));
                var wanted = Integer.toString(Integer.parseInt(before.asUtf8String()) + 1);
                var etag = before.response().eTag();
                try {
                    if (writer % 2 == 0 || !inParts) {
                        S3.putObject(it -> it.bucket(BUCKET).key("register").ifMatch(etag), RequestBody.fromString(wanted));
                    } else {
                        var id = S3.createMultipartUpload(it -> it.bucket(BUCKET).key("register")).uploadId();
                        var parts = upload(S3, "register", id, wanted.getBytes());
                        S3.completeMultipartUpload(it -> it.bucket(BUCKET).key("register").uploadId(id).ifMatch(etag).multipartUpload(parts));
                    }
                    added++;
                } catch (S3Exception error) {
                    check(error.statusCode() == 412 || error.statusCode() == 409, error.toString());
                    lost.incrementAndGet();
                }
            }
        });
        check(text("register").equals(Integer.toString(writers * each)), "every addition counts: " + text("register"));
        check(lost.get() > 0, "they were in each other's way");
    }

    interface Work {
        void by(int writer) throws Exception;
    }

    static void together(int writers, Work work) throws Exception {
        var pool = Executors.newFixedThreadPool(writers);
        var running = new ArrayList<Future<?>>();
        for (int writer = 0; writer < writers; writer++) {
            int number = writer;
            running.add(pool.submit(() -> {
                work.by(number);
                return null;
            }));
        }
        for (var one : running) {
            one.get();
        }
        pool.shutdown();
    }

    static String text(String key) {
        return S3.getObjectAsBytes(it -> it.bucket(BUCKET).key(key)).asUtf8String();
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

    static String crc32(byte[] bytes) {
        var sum = new CRC32();
        sum.update(bytes);
        return Base64.getEncoder().encodeToString(java.nio.ByteBuffer.allocate(4).putInt((int) sum.getValue()).array());
    }

    /** Whether the store behind the gateway can do something, so that the gateway can too; said where it cannot. */
    static boolean can(String what) {
        boolean lacks = List.of(System.getenv().getOrDefault("STORE_LACKS", "").split(" ")).contains(what);
        if (lacks) {
            System.out.println("left out, for the store lacks it: " + what);
        }
        return !lacks;
    }

    /** Where the store encrypts, an etag is anything but an MD5. */
    static void checkMd5(String etag, byte[] bytes, String what) {
        check(can("md5-etags") ? etag.equals("\"" + md5(bytes) + "\"") : etag.matches("\"[0-9a-f]{32}\""), what + ": " + etag);
    }

    static void check(boolean holds, String what) {
        CHECKS.incrementAndGet();
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** `code` is null where the answer has no body to say it in. */
    static void refused(int status, String code, Callable<?> call) {
        try {
            call.call();
        } catch (S3Exception error) {
            var found = error.statusCode() + " " + (code == null ? null : error.awsErrorDetails().errorCode());
            check(found.equals(status + " " + code), "expected " + status + " " + code + ", got " + found);
            return;
        } catch (Exception error) {
            throw new AssertionError("expected " + status + " " + code, error);
        }
        throw new AssertionError("should have been refused with " + status + " " + code);
    }
}
