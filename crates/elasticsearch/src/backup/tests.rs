//! What `_status` tells.

use lifeboat_core::progress::Reading;
use proptest::prelude::*;

use super::*;
use crate::odd;

fn status(state: &str) -> Value {
    json!({
        "state": state,
        "shards_stats": {"initializing": 1, "started": 1, "finalizing": 0, "done": 2, "failed": 1, "total": 5},
        "stats": {"incremental": {"file_count": 4, "size_in_bytes": 5518}, "processed": {"file_count": 2, "size_in_bytes": 667}}
    })
}

#[test]
fn a_snapshot_is_over_in_no_state_in_which_it_is_being_taken() {
    for (state, is_over) in [
        ("INIT", false),
        ("STARTED", false),
        ("IN_PROGRESS", false),
        ("ABORTED", false),
        ("", false),
        ("SUCCESS", true),
        ("PARTIAL", true),
        ("FAILED", true),
        ("NEW", true),
    ] {
        let found = report(&status(state), &Progress::default(), &mut (0, 0));
        assert_eq!(found, is_over, "{state}");
    }
}

#[test]
fn shards_that_failed_are_over_and_processed_is_what_was_added_where_it_is_not_told() {
    let progress = Progress::default();
    let mut told = (0, 0);
    let mut status = status("STARTED");
    report(&status, &progress, &mut told);
    let half = Reading {
        elements: 3,
        bytes: 667,
        total_elements: 5,
        total_bytes: 5518,
    };
    assert_eq!(progress.read(), half);
    // Told twice, it is added once.
    report(&status, &progress, &mut told);
    assert_eq!(progress.read(), half);
    status["stats"]["processed"].take();
    report(&status, &progress, &mut told);
    assert_eq!(progress.read().bytes, 5518);
}

proptest! {
    #[test]
    fn no_status_panics_and_progress_never_goes_back(statuses in prop::collection::vec(odd::answer(&status("STARTED")), 1..5)) {
        let progress = Progress::default();
        let mut told = (0, 0);
        for status in statuses {
            let before = told;
            report(&status, &progress, &mut told);
            prop_assert!(told.0 >= before.0 && told.1 >= before.1);
            let read = progress.read();
            prop_assert_eq!((read.elements, read.bytes), told);
        }
    }
}
