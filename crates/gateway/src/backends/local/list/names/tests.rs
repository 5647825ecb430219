//! Names of a directory are found once each and in order, also while the directory changes.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn all(names: &Names) -> Vec<String> {
    (0..names.len())
        .filter_map(|index| names.get(index))
        .map(|(text, _)| text.to_owned())
        .collect()
}

fn directory_with(names: impl IntoIterator<Item = String>) -> (TempDir, Directory) {
    let folder = TempDir::new().unwrap();
    for name in names {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let directory = Directory::open_root(folder.path()).unwrap();
    (folder, directory)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn windows_one_after_the_other_are_the_whole_directory(
        names in proptest::collection::btree_set("[a-c]{1,4}", 0..60),
        window in 30_usize..400,
    ) {
        let (_folder, directory) = directory_with(names.iter().cloned());
        let mut found = Vec::new();
        let mut seek = String::new();
        loop {
            let part = Names::read(&directory, &seek, window, &Mutex::default()).unwrap();
            prop_assert!(part.covers(&seek) || part.len() == 0);
            let from = part.position(|text| text < seek.as_str());
            found.extend(all(&part).split_off(from));
            if !part.more {
                break;
            }
            prop_assert!(from < part.len());
            seek = format!("{}\0", found.last().unwrap());
        }
        prop_assert_eq!(found, names.into_iter().collect::<Vec<_>>());
    }
}

const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

fn many() -> impl Iterator<Item = String> {
    (0..WORTH_KEEPING).map(|number| format!("{number:05}"))
}

/// A clock of the file system that goes in steps would show two changes at the same moment.
fn at_another_moment(folder: &Path) {
    let moment = UNIX_EPOCH + Duration::from_secs(1);
    let folder = fs::File::open(folder).unwrap();
    folder.set_modified(moment).unwrap();
}

#[test]
fn kept_names_are_used_again_until_something_is_added() {
    let (folder, directory) = directory_with(many());
    let cache = Cache::default();
    let first = cache.names(&directory, "", NOW).unwrap();
    let again = cache.names(&directory, "00500", NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    cache.added(&directory);
    let after = cache.names(&directory, "", NOW).unwrap();
    assert!(!Arc::ptr_eq(&first, &after));
    fs::write(folder.path().join("by hand"), "").unwrap();
    at_another_moment(folder.path());
    let by_hand = cache.names(&directory, "", NOW).unwrap();
    assert_eq!(by_hand.len(), WORTH_KEEPING + 1);
    let later = NOW + KEPT_FOR + SignedDuration::from_secs(1);
    let much_later = cache.names(&directory, "", later).unwrap();
    assert!(!Arc::ptr_eq(&by_hand, &much_later));
}

#[test]
fn kept_names_outlive_removals_of_ours_alone() {
    let (folder, directory) = directory_with(many());
    let cache = Cache::default();
    let first = cache.names(&directory, "", NOW).unwrap();
    let remove = |name: &str| {
        let removed = cache.removing(&directory, name, || directory.remove_file(name));
        removed.unwrap();
    };
    for name in many().take(200).filter(|name| name != "00100") {
        remove(&name);
    }
    let again = cache.names(&directory, "", NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(
        [0, 100, 101].map(|index| again.still_there(index)),
        [100, 100, 200]
    );
    fs::remove_file(folder.path().join("00201")).unwrap();
    at_another_moment(folder.path());
    remove("00202");
    let after = cache.names(&directory, "", NOW).unwrap();
    assert_eq!(after.len(), WORTH_KEEPING - 201);
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let cache = Cache::default();
    let directories: Vec<_> = (0..40).map(|_| directory_with(many())).collect();
    for (_, directory) in &directories {
        let names = Names {
            texts: "x".repeat(KEPT / 10),
            ..Names::read(directory, "", WINDOW, &Mutex::default()).unwrap()
        };
        let (place, stamp) = identify(directory).unwrap();
        cache.keep(Kept {
            place,
            stamp,
            added: 0,
            read: NOW,
            names: Arc::new(names),
        });
    }
    let kept = cache.kept();
    assert!((2..=10).contains(&kept.len()), "{}", kept.len());
}
