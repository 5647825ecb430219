//! What other programs see of the gateway: the clients that people use, in front of every kind of storage.

mod aws_cli;
mod aws_sdk_1;
mod aws_sdk_2;
mod boto3;
mod client;
mod java;
mod mc;
mod opensearch;
mod rclone;
mod restic;
mod s3a;
mod tree;
mod vmbackup;

/// How far a test came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// To its end.
    Whole,
    /// Not at all, and it has said why.
    Skipped,
}

/// Writes tests out for one storage.
macro_rules! tests {
    ($storage:ident: $($client:ident { $($does:ident)* })*) => {
        $(mod $client {
            $(
                #[test]
                fn $does() {
                    let storage = crate::world::storage::Storage::$storage;
                    if let Some(world) = crate::world::World::behind(storage) {
                        if crate::wire::$client::$does(&world) == crate::wire::Ran::Whole {
                            world.record_sightings(&stringify!($client).replace('_', "-"));
                        }
                    }
                }
            )*
        })*
    };
}

/// What every client does, whatever the storage.
macro_rules! clients {
    ($storage:ident) => {
        tests! {
            $storage:
            aws_cli { brings_a_tree_up_and_back_and_signs_links }
            aws_sdk_1 { finds_what_elasticsearch_8_counts_on }
            aws_sdk_2 { finds_what_elasticsearch_9_counts_on }
            boto3 {
                finds_every_call_as_amazon_documents_it
                sends_bodies_in_chunks_that_count_only_when_whole
            }
            mc { mirrors_a_tree_and_copies_on_the_server }
            opensearch { verifies_snapshots_deletes_and_restores }
            rclone { brings_a_tree_up_and_back_and_copies_it_on_the_server }
            restic { keeps_a_repository_that_checks_and_restores }
            s3a { keeps_a_file_system }
            vmbackup {
                of_the_platform_backs_up_and_restores
                of_1_79_backs_up_and_restores
                of_1_145_backs_up_and_restores
            }
        }
    };
}

mod volume {
    clients!(Volume);
}

mod versitygw {
    clients!(Versitygw);
}

mod minio {
    clients!(Minio);
}

/// Without rclone, which takes every `ETag` of 32 digits for an MD5 unless its own settings say that the bucket encrypts.
mod minio_encrypted {
    tests! {
        MinioEncrypted:
        aws_cli { brings_a_tree_up_and_back_and_signs_links }
        aws_sdk_1 { finds_what_elasticsearch_8_counts_on }
        aws_sdk_2 { finds_what_elasticsearch_9_counts_on }
        boto3 {
            finds_every_call_as_amazon_documents_it
            sends_bodies_in_chunks_that_count_only_when_whole
        }
        opensearch { verifies_snapshots_deletes_and_restores }
        restic { keeps_a_repository_that_checks_and_restores }
        s3a { keeps_a_file_system }
        vmbackup { of_the_platform_backs_up_and_restores }
    }
}

mod azurite {
    clients!(Azurite);
}
