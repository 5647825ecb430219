// A file system of Hadoop over the gateway, as StackGraph keeps its data: what looks like folders, files in parts, renames.
//
// Reads S3_ENDPOINT, STORE_LACKS and the key pair of the usual variables; the bucket is S3_BUCKET. Ends with the number of checks; fails at
// the first wrong answer.

import java.io.FileNotFoundException;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.s3a.RemoteFileChangedException;

public class S3a {
    static final int MIB = 1024 * 1024;
    static int checks = 0;

    public static void main(String[] arguments) {
        try {
            run();
        } catch (Throwable error) {
            error.printStackTrace();
            // Last, because whoever runs this shows only the end: what went wrong, and at which line of this file.
            for (var cause = error; cause != null; cause = cause.getCause()) {
                System.err.println("failed: " + cause);
                for (var frame : cause.getStackTrace()) {
                    if (frame.getClassName().startsWith("S3a")) {
                        System.err.println("  in line " + frame.getLineNumber() + " of S3a.java");
                        break;
                    }
                }
            }
            System.exit(1);
        }
        System.exit(0);
    }

    static void run() throws Exception {
        for (String markers : List.of("keep", "delete")) {
            try (var files = mount(markers)) {
                var root = new Path("/s3a-" + markers);
                folders(files, root);
                contents(files, new Path(root, "contents"));
                renames(files, new Path(root, "renames"));
                if (markers.equals("keep")) {
                    many(files, new Path(root, "many"));
                }
                check(files.delete(root, true), "everything is deleted");
                check(!files.exists(root), "and gone");
            }
        }
        System.out.println(checks + " answers were those that Hadoop counts on");
    }

    static FileSystem mount(String markers) throws Exception {
        var settings = new Configuration();
        settings.set("fs.s3a.endpoint", System.getenv("S3_ENDPOINT"));
        settings.set("fs.s3a.endpoint.region", "us-east-1");
        settings.set("fs.s3a.path.style.access", "true");
        settings.set("fs.s3a.connection.ssl.enabled", "false");
        settings.set("fs.s3a.aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider");
        settings.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
        settings.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
        settings.set("fs.s3a.bucket.probe", "2");
        // For stores that know no newer checksums.
        settings.set("fs.s3a.checksum.generation", "false");
        settings.set("fs.s3a.request.md5.header", "true");
        settings.set("fs.s3a.attempts.maximum", "1");
        settings.set("fs.s3a.retry.limit", "1");
        // The least there is: larger files go up in parts, and are copied in parts.
        settings.set("fs.s3a.multipart.size", "5M");
        settings.set("fs.s3a.multipart.threshold", "5M");
        settings.set("fs.s3a.fast.upload.buffer", "array");
        settings.set("fs.s3a.directory.marker.retention", markers);
        // The other kind reads small files at once, and so cannot see that they change.
        settings.set("fs.s3a.input.stream.type", "classic");
        settings.set("fs.s3a.change.detection.mode", "server");
        settings.set("fs.s3a.change.detection.source", "etag");
        return FileSystem.newInstance(new URI("s3a://" + System.getenv("S3_BUCKET")), settings);
    }

    /** Empty folders are objects that end in a slash; they go when there is something inside, or stay. */
    static void folders(FileSystem files, Path root) throws Exception {
        check(files.mkdirs(new Path(root, "a/b/c")), "made");
        check(files.getFileStatus(new Path(root, "a/b/c")).isDirectory(), "an empty folder is one");
        check(files.getFileStatus(new Path(root, "a")).isDirectory(), "so is what holds it");
        check(files.listStatus(new Path(root, "a/b/c")).length == 0, "it is empty");
        write(files, new Path(root, "a/b/c/file"), noise(10));
        check(names(files.listStatus(new Path(root, "a/b/c"))).equals(List.of("file")), "no marker is listed");
        check(files.getFileStatus(new Path(root, "a/b/c/file")).getLen() == 10, "length");
        refused(FileNotFoundException.class, () -> files.getFileStatus(new Path(root, "a/b/x")));
        refused(FileNotFoundException.class, () -> files.listStatus(new Path(root, "x")));
        refused(FileAlreadyExistsException.class, () -> files.create(new Path(root, "a/b"), true).close());
        refused(FileAlreadyExistsException.class, () -> files.create(new Path(root, "a/b/c/file"), false).close());
        refused(java.io.IOException.class, () -> files.delete(new Path(root, "a"), false));
        check(files.delete(new Path(root, "a/b/c/file"), false), "deleted");
        check(files.getFileStatus(new Path(root, "a/b/c")).isDirectory(), "the folder stays when its last file goes");
        check(files.delete(new Path(root, "a"), true), "deleted with all below");
        check(!files.exists(new Path(root, "a/b/c")), "gone");
        check(!files.delete(new Path(root, "a"), true), "nothing to delete");
    }

    /** Content in parts, read in pieces forth and back, and told apart from what replaced it. */
    static void contents(FileSystem files, Path folder) throws Exception {
        var whole = noise(17 * MIB + 3);
        var large = new Path(folder, "large ünï+%20");
        write(files, large, whole);
        check(files.getFileStatus(large).getLen() == whole.length, "length");
        try (var input = files.open(large)) {
            var random = new Random(1);
            for (int turn = 0; turn < 20; turn++) {
                int from = random.nextInt(whole.length - 100_000);
                var piece = new byte[1 + random.nextInt(100_000)];
                input.readFully(from, piece);
                check(Arrays.equals(piece, Arrays.copyOfRange(whole, from, from + piece.length)), "a piece at " + from);
            }
            input.seek(whole.length - 3);
            check(input.readAllBytes().length == 3, "the end");
            input.seek(0);
            check(Arrays.equals(input.readAllBytes(), whole), "all of it");
        }
        var changed = new Path(folder, "changed");
        write(files, changed, noise(3 * MIB));
        try (var input = files.open(changed)) {
            input.readFully(2 * MIB, new byte[1000]);
            write(files, changed, noise(3 * MIB + 1));
            // Backwards takes a request of its own, with If-Match.
            refused(RemoteFileChangedException.class, () -> input.readFully(0, new byte[1000]));
        }
        write(files, new Path(folder, "empty"), new byte[0]);
        check(files.getFileStatus(new Path(folder, "empty")).isFile(), "an empty file is no folder");
    }

    /** A rename is a copy and a delete of each object. */
    static void renames(FileSystem files, Path folder) throws Exception {
        var large = noise(11 * MIB);
        write(files, new Path(folder, "from/large"), large);
        for (int number = 0; number < 20; number++) {
            write(files, new Path(folder, "from/deep/" + number), noise(number));
        }
        if (can("folder-copies")) {
            files.mkdirs(new Path(folder, "from/nothing"));
        }
        check(files.rename(new Path(folder, "from"), new Path(folder, "to")), "renamed");
        check(!files.exists(new Path(folder, "from")), "nothing is left");
        check(Arrays.equals(read(files, new Path(folder, "to/large")), large), "a large one came along");
        for (int number = 0; number < 20; number++) {
            check(Arrays.equals(read(files, new Path(folder, "to/deep/" + number)), noise(number)), "number " + number);
        }
        if (can("folder-copies")) {
            check(files.getFileStatus(new Path(folder, "to/nothing")).isDirectory(), "so did an empty folder");
        }
        check(files.rename(new Path(folder, "to/deep/7"), new Path(folder, "to/seven")), "one file");
        check(Arrays.equals(read(files, new Path(folder, "to/seven")), noise(7)), "is what it was");
    }

    /** More than one page of a list, and more than one request to delete. */
    static void many(FileSystem files, Path folder) throws Exception {
        var expected = new TreeSet<String>();
        for (int number = 0; number < 1100; number++) {
            var name = String.format("%d/%04d", number % 3, number);
            write(files, new Path(folder, name), new byte[0]);
            expected.add(name);
        }
        var found = new TreeSet<String>();
        var base = files.makeQualified(folder).toUri().getPath() + "/";
        for (var each = files.listFiles(folder, true); each.hasNext();) {
            found.add(each.next().getPath().toUri().getPath().substring(base.length()));
        }
        check(found.equals(expected), "all are listed");
        check(names(files.listStatus(folder)).equals(List.of("0", "1", "2")), "the folders of them");
        check(files.getContentSummary(folder).getFileCount() == 1100, "all are counted");
        check(files.delete(folder, true), "deleted");
        check(!files.listFiles(folder.getParent(), true).next().getPath().toString().contains("/many/"), "none is left");
    }

    static void write(FileSystem files, Path path, byte[] bytes) throws Exception {
        try (var output = files.create(path, true)) {
            output.write(bytes);
        }
    }

    static byte[] read(FileSystem files, Path path) throws Exception {
        try (var input = files.open(path)) {
            return input.readAllBytes();
        }
    }

    static List<String> names(FileStatus[] found) {
        var names = new ArrayList<String>();
        for (var one : found) {
            names.add(one.getPath().getName());
        }
        return names;
    }

    static byte[] noise(int length) {
        var bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    /** Whether the store behind the gateway can do something, so that the gateway can too; said where it cannot. */
    static boolean can(String what) {
        boolean lacks = List.of(System.getenv().getOrDefault("STORE_LACKS", "").split(" ")).contains(what);
        if (lacks) {
            System.out.println("left out, for the store lacks it: " + what);
        }
        return !lacks;
    }

    static void check(boolean holds, String what) {
        checks++;
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    interface Call {
        void run() throws Exception;
    }

    static void refused(Class<? extends Exception> expected, Call call) {
        try {
            call.run();
        } catch (Exception error) {
            if (!expected.isInstance(error)) {
                throw new AssertionError("expected " + expected, error);
            }
            checks++;
            return;
        }
        throw new AssertionError("should have been refused with " + expected);
    }
}
