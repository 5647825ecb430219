//! What every backend promises, tested on each. A new backend adds one module to `suite!`.

mod buckets;
mod objects;
mod tags;
mod uploads;

/// Writes a test for every promise. What a server does not keep is listed with the reason, and stays in sight as ignored.
macro_rules! suite {
    ($d:tt $backend:ident: $make:expr; but { $($left_out:ident: $reason:literal,)* }) => {
        mod $backend {
            macro_rules! promise {
                $(($d group:ident $left_out) => {
                    #[tokio::test]
                    #[ignore = $reason]
                    async fn $left_out() {}
                };)*
                ($d group:ident $d promise:ident) => {
                    #[tokio::test]
                    async fn $d promise() {
                        if let Some(place) = $make.await {
                            super::$d group::$d promise(&place).await;
                        }
                    }
                };
            }
            super::promises!(promise);
        }
    };
}

macro_rules! promises {
    ($promise:ident) => {
        $promise!(objects gives_back_what_was_put);
        $promise!(objects reads_ranges_of_an_object);
        $promise!(objects keeps_the_old_object_when_a_put_fails);
        $promise!(objects judges_conditions_of_reads);
        $promise!(objects lets_one_of_many_creators_win);
        $promise!(objects lets_each_conditional_replacement_see_the_one_before);
        $promise!(objects removes_objects_and_does_not_mind_missing_ones);
        $promise!(objects removes_many_objects_and_tells_of_each);
        $promise!(objects keeps_objects_below_the_key_of_another);
        $promise!(objects keeps_keys_to_the_letter);
        $promise!(objects keeps_keys_that_end_in_a_slash);
        $promise!(objects stores_only_what_was_promised);
        $promise!(objects stores_content_of_a_length_that_nobody_knows);
        $promise!(objects copies_with_a_record_of_its_own);
        $promise!(objects replaces_the_metadata_of_an_object_in_place);
        $promise!(objects copies_over_a_copy);
        $promise!(objects judges_conditions_of_copies);
        $promise!(objects judges_what_a_copy_would_replace);
        $promise!(buckets lists_in_byte_order_with_prefix_and_delimiter);
        $promise!(buckets pages_through_a_listing);
        $promise!(buckets lists_a_common_prefix_on_one_page_only);
        $promise!(buckets manages_buckets);
        $promise!(tags tells_content_apart_without_an_md5);
        $promise!(tags compares_what_was_promised_without_an_md5);
        $promise!(tags joins_parts_without_an_md5);
        $promise!(uploads makes_an_object_of_parts);
        $promise!(uploads makes_an_object_of_parts_that_came_in_any_order);
        $promise!(uploads lets_the_last_upload_of_a_part_count);
        $promise!(uploads refuses_wrong_lists_of_parts);
        $promise!(uploads lists_all_live_uploads_and_only_those);
        $promise!(uploads gives_uploads_ids_that_sort_by_time);
        $promise!(uploads does_not_know_an_upload_that_has_ended);
        $promise!(uploads ends_an_upload_once);
        $promise!(uploads answers_a_repeated_completion_alike);
        $promise!(uploads completes_only_on_condition);
        $promise!(uploads joins_the_checksums_of_parts);
        $promise!(uploads makes_parts_of_what_is_stored_already);
    };
}
use promises;

suite!($ local: async { Some(crate::support::Volume::new().await) }; but {});
// On file systems that cannot do everything.
suite!($ local_with_named_files: crate::capabilities::lacking(&[crate::capabilities::AnonymousFiles]); but {});
suite!($ local_without_attributes: crate::capabilities::lacking(&[crate::capabilities::Attributes]); but {});
suite!($ local_without_links: crate::capabilities::lacking(&[crate::capabilities::Links]); but {});
suite!($ local_as_on_nfs: crate::capabilities::lacking(crate::capabilities::AS_ON_NFS); but {});
suite!($ local_with_nothing_but_files: crate::capabilities::lacking(crate::capabilities::ALL); but {});
// Our own gateway as the store behind another: what it keeps arrives through the protocol, twice.
suite!($ ourselves: crate::remote::Behind::ourselves(); but {});
suite!($ versitygw: crate::remote::Remote::in_versitygw(); but {
    keeps_objects_below_the_key_of_another: "its objects are files: a key that is a file has nothing below it",
    keeps_keys_that_end_in_a_slash: "its objects are files: a key that ends in a slash is a folder and holds nothing",
    gives_uploads_ids_that_sort_by_time: "its ids are chance",
});
suite!($ minio: crate::remote::Remote::in_minio(); but {
    keeps_objects_below_the_key_of_another: "it lists nothing below a key that holds an object",
    lists_all_live_uploads_and_only_those: "it lists the uploads of one key only, and those only if the prefix is that key",
    gives_uploads_ids_that_sort_by_time: "its ids are chance",
    does_not_know_an_upload_that_has_ended: "it ends an upload that it does not know as if it were one",
    answers_a_repeated_completion_alike: "it knows nothing of an upload that has been completed",
});
suite!($ azurite: crate::azure::account::Account::in_azurite(); but {});
