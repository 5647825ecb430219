//! The metrics there are, one row each.

/// One metric, as the reference says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    /// Without a full stop at its end.
    pub(super) doc: &'static str,
}

/// Writes each row out as a constant of its own and all of them as one table.
macro_rules! rows {
    ($($id:ident: $kind:ident $name:literal $labels:tt $doc:literal;)*) => {
        $(
            pub(super) const $id: Row = Row {
                name: concat!("lifeboat_gateway_", $name),
                kind: stringify!($kind),
                labels: &$labels,
                doc: $doc,
            };
        )*
        pub(super) const ROWS: &[Row] = &[$($id),*];
    };
}

#[rustfmt::skip]
rows! {
    REQUESTS: counter "requests_total" ["operation", "status"] "Requests that ended, by operation of S3 and status of HTTP; 499 is a client that went away before there was an answer";
    REQUEST_DURATION: histogram "request_duration_seconds" ["operation"] "From the head of a request to the last byte of its answer";
    REQUESTS_RUNNING: gauge "requests_running" [] "Requests that have begun and not ended";
    ERRORS: counter "errors_total" ["code"] "Requests that were refused or failed, by error code of S3";
    RECEIVED: counter "received_bytes_total" [] "Bytes of bodies that clients sent";
    SENT: counter "sent_bytes_total" [] "Bytes of bodies that clients were sent";
    HASHING_WAIT: histogram "hashing_wait_seconds" [] "How long content waited for a thread that hashes it";
    CONNECTIONS: gauge "connections" [] "Open connections on the S3 port";
    MEMORY_LIMIT: gauge "memory_limit_bytes" [] "What all buffers of requests may take together";
    MEMORY_USED: gauge "memory_used_bytes" [] "What the requests under way have taken of it";
    MEMORY_REFUSED: counter "memory_refused_total" [] "Requests that got no share of it in time and were told to slow down";
    UPSTREAM_ERRORS: counter "upstream_errors_total" [] "Requests that failed because the store behind the gateway failed or gave no answer";
    HANDSHAKES_FAILED: counter "handshakes_failed_total" [] "Connections that ended before the handshake of TLS did";
    RELOAD_FAILURES: counter "reload_failures_total" ["what"] "Readings of the files of `certificate` or `users` that gave nothing usable, so that what served before goes on";
    CERTIFICATE_EXPIRY: gauge "certificate_expiry_seconds" [] "When the certificate in service runs out, in seconds since 1970; 0 without a certificate";
    STORE_UP: gauge "store_up" [] "1 if the store answered when it was last asked how it is, 0 if it did not";
    OPEN_UPLOADS: gauge "open_uploads" [] "Multipart uploads neither completed nor aborted, where the gateway keeps them";
    VOLUME_SIZE: gauge "volume_size_bytes" ["volume"] "Room on a volume, by the folder that is served";
    VOLUME_FREE: gauge "volume_free_bytes" ["volume"] "Room on a volume that the gateway may still use";
    TRASH_OBJECTS: gauge "trash_objects" ["volume"] "Deleted and replaced objects that the trash of a volume keeps";
    TRASH_SIZE: gauge "trash_size_bytes" ["volume"] "Their size, each counted by itself; copies that share their bytes take less room";
    SCRUBBED_OBJECTS: counter "scrubbed_objects_total" ["volume"] "Objects that were read again and compared with their checksums";
    SCRUBBED_BYTES: counter "scrubbed_bytes_total" ["volume"] "Their bytes";
    SCRUBBED_AT: gauge "scrub_last_pass_timestamp_seconds" ["volume"] "When all objects had been compared the last time; 0 before the first";
    UNVERIFIABLE: gauge "scrub_unverifiable_objects" ["volume"] "Objects of the last pass that have no checksum to be compared with";
    DAMAGED: gauge "damaged_objects" ["volume"] "Objects that are known to be damaged: a person must look";
}
