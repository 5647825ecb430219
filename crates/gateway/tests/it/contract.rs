//! What every backend promises, tested on each. A new backend adds one module to `suite!`.

mod buckets;
mod objects;
mod uploads;

macro_rules! suite {
    ($backend:ident: $make:expr; $($group:ident { $($promise:ident)* })*) => {
        mod $backend {
            $($(
                #[tokio::test]
                async fn $promise() {
                    let place = $make.await;
                    super::$group::$promise(&place).await;
                }
            )*)*
        }
    };
}

suite! {
    local: crate::support::Volume::new();
    objects {
        gives_back_what_was_put
        reads_ranges_of_an_object
        keeps_the_old_object_when_a_put_fails
        judges_conditions_of_reads
        lets_one_of_many_creators_win
        lets_each_conditional_replacement_see_the_one_before
        removes_objects_and_does_not_mind_missing_ones
        copies_with_a_record_of_its_own
        replaces_the_metadata_of_an_object_in_place
        copies_over_a_copy
        judges_conditions_of_copies
    }
    buckets {
        lists_in_byte_order_with_prefix_and_delimiter
        pages_through_a_listing
        manages_buckets
    }
    uploads {
        makes_an_object_of_parts
        makes_an_object_of_parts_that_came_in_any_order
        lets_the_last_upload_of_a_part_count
        refuses_wrong_lists_of_parts
        lists_all_live_uploads_and_only_those
        ends_an_upload_once
        answers_a_repeated_completion_alike
        completes_only_on_condition
        joins_the_checksums_of_parts
    }
}
