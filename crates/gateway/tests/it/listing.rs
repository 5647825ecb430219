//! A listing is what an ordered map would list, whatever the keys, the question and the page size.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use lifeboat_gateway::backend::condition::{EtagMatch, WriteCondition};
use lifeboat_gateway::backend::listing::ListQuery;
use lifeboat_gateway::backend::options::DeleteOptions;
use lifeboat_gateway::backend::{Backend as _, Error};
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::local::Local;
use proptest::prelude::*;

use crate::support::{Volume, at, delete, put, sources};

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{0,2}",
        2 => "[a!0.-]{1,2}",
        1 => Just("..".to_owned()),
        1 => Just(".lifeboat.self".to_owned()),
        1 => "a[é😀]{1,2}",
        1 => "b{254,258}[!é]{0,2}",
        1 => "b{230,245}é{5,20}",
    ]
}

fn key() -> impl Strategy<Value = String> {
    proptest::collection::vec(component(), 1..4)
        .prop_map(|components| components.join("/"))
        .prop_filter("a key has a name", |key| !key.is_empty())
}

fn query() -> impl Strategy<Value = ListQuery> {
    let prefix = prop_oneof!["[ab/.!]{0,3}", key()];
    let delimiter = proptest::option::of(prop_oneof![
        Just("/".to_owned()),
        Just("a".to_owned()),
        Just("b/".to_owned())
    ]);
    let after = proptest::option::of(prop_oneof!["[ab/.!]{1,3}", key()]);
    (prefix, delimiter, after, 1_usize..5).prop_map(|(prefix, delimiter, after, limit)| ListQuery {
        prefix,
        delimiter,
        after,
        limit,
    })
}

/// What the whole listing should be, without pages.
fn model(keys: &BTreeSet<String>, query: &ListQuery) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(&query.prefix) else {
            continue;
        };
        let rolled_up = query.delimiter.as_ref().and_then(|delimiter| {
            let end = rest.find(delimiter.as_str())? + delimiter.len();
            Some(key[..query.prefix.len() + end].to_owned())
        });
        let name = rolled_up.unwrap_or_else(|| key.clone());
        let later = query.after.as_ref().is_none_or(|after| name > *after);
        if later && names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_page_is_what_an_ordered_map_says(
        keys in proptest::collection::btree_set(key(), 0..12),
        queries in proptest::collection::vec(query(), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let volume = Volume::new().await;
            for key in &keys {
                put(&volume.local, key, "x").await.unwrap();
            }
            for mut query in queries {
                let expected = model(&keys, &query);
                let mut found = Vec::new();
                loop {
                    let page = volume.local.list("bucket", &query).await.unwrap();
                    assert!(page.entries.len() <= query.limit);
                    found.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
                    query.after = found.last().cloned().or(query.after);
                    if !page.truncated {
                        break;
                    }
                }
                assert_eq!(found, expected, "{query:?}");
            }
            for key in &keys {
                delete(&volume.local, key).await.unwrap();
            }
            volume.local.delete_bucket("bucket").await.unwrap();
        });
    }
}

#[tokio::test]
async fn a_directory_of_thousands_is_listed_once_and_in_order() {
    let volume = Volume::new().await;
    let bucket = volume.path().join("bucket");
    let mut keys = BTreeSet::new();
    for number in 0..2600 {
        let name = format!("{:04}", number * 7919 % 10_000);
        let key = if number % 5 == 0 {
            fs::create_dir(bucket.join(&name)).unwrap();
            format!("{name}/below")
        } else {
            name
        };
        fs::write(bucket.join(&key), "x").unwrap();
        keys.insert(key);
    }
    for delimiter in [None, Some("/".to_owned())] {
        for limit in [1000, 1024, 1025, 5000] {
            let mut query = ListQuery {
                delimiter: delimiter.clone(),
                limit,
                ..ListQuery::default()
            };
            let expected = model(&keys, &query);
            let mut found = Vec::new();
            loop {
                let page = volume.local.list("bucket", &query).await.unwrap();
                found.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
                query.after = found.last().cloned();
                if !page.truncated {
                    break;
                }
            }
            assert_eq!(found, expected, "{query:?}");
        }
    }
}

/// One page after the other.
async fn listed(local: &Local, limit: usize) -> Vec<String> {
    let mut query = ListQuery {
        limit,
        ..ListQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = local.list("bucket", &query).await.unwrap();
        found.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
        query.after = found.last().cloned();
        if !page.truncated {
            return found;
        }
    }
}

/// Something that happens to a large directory between two listings.
#[derive(Debug, Clone)]
enum Change {
    Put(u16),
    PutByHand(u16),
    RemoveByHand(u16),
    Delete(u16),
    DeleteMany(std::ops::Range<u16>),
}

fn change() -> impl Strategy<Value = Change> {
    let number = || 0_u16..1600;
    prop_oneof![
        number().prop_map(Change::Put),
        number().prop_map(Change::PutByHand),
        number().prop_map(Change::RemoveByHand),
        number().prop_map(Change::Delete),
        number().prop_map(|first| Change::DeleteMany(first..first + 30)),
    ]
}

fn name(number: u16) -> String {
    format!("{number:04}")
}

/// A clock of the file system that goes in steps would show two changes at the same moment.
fn at_another_moment(directory: &Path, number: u16) {
    let moment = UNIX_EPOCH + Duration::from_secs(number.into());
    let directory = fs::File::open(directory).unwrap();
    directory.set_modified(moment).unwrap();
}

async fn carry_out(change: &Change, local: &Local, bucket: &Path, keys: &mut BTreeSet<String>) {
    match change {
        Change::Put(number) => {
            put(local, &name(*number), "y").await.unwrap();
            keys.insert(name(*number));
        }
        Change::PutByHand(number) => {
            fs::write(bucket.join(name(*number)), "z").unwrap();
            at_another_moment(bucket, *number);
            keys.insert(name(*number));
        }
        Change::RemoveByHand(number) => {
            if keys.remove(&name(*number)) {
                fs::remove_file(bucket.join(name(*number))).unwrap();
                at_another_moment(bucket, *number);
            }
        }
        Change::Delete(number) => {
            delete(local, &name(*number)).await.unwrap();
            keys.remove(&name(*number));
        }
        Change::DeleteMany(numbers) => {
            let names: Vec<_> = numbers.clone().map(name).collect();
            let objects = names.iter().map(|key| (at(key), DeleteOptions::default()));
            for removed in local.delete_many(objects.collect()).await {
                removed.unwrap();
            }
            keys.retain(|key| !names.contains(key));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    #[test]
    fn a_large_directory_is_listed_as_it_is_while_it_changes(
        rounds in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Volume { directory, local, .. } = Volume::new().await;
            drop(local);
            // The clock stands still, so that nothing grows old that is kept from one page to the next.
            let still = Sources {
                now: Arc::new(|| Timestamp::UNIX_EPOCH),
                ..sources(7)
            };
            let local = Local::open(directory.path(), still).unwrap();
            let bucket = directory.path().join("bucket");
            let mut keys: BTreeSet<_> = (0..1500).map(name).collect();
            for key in &keys {
                fs::write(bucket.join(key), "x").unwrap();
            }
            for changes in rounds {
                let expected: Vec<_> = keys.iter().cloned().collect();
                assert_eq!(listed(&local, 400).await, expected);
                for change in &changes {
                    carry_out(change, &local, &bucket, &mut keys).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn many_objects_are_removed_with_the_directories_that_held_them() {
    let volume = Volume::new().await;
    let keys = ["a", "a/b", "a/c/d", "a/c/e", "dir/", "kept/x", "kept/y"];
    for key in keys {
        put(&volume.local, key, "x").await.unwrap();
    }
    let condition = |etag: &str| DeleteOptions {
        condition: WriteCondition::Matches(EtagMatch::Exactly(etag.to_owned())),
        ..DeleteOptions::default()
    };
    let mut objects: Vec<_> = [
        "a", "a/b", "a/c/d", "a/c/e", "dir/", "kept/x", "missing", "no/such",
    ]
    .map(|key| (at(key), DeleteOptions::default()))
    .into();
    objects.push((at("kept/y"), condition("another")));
    let removed = volume.local.delete_many(objects).await;
    let (last, others) = removed.split_last().unwrap();
    assert!(
        matches!(last, Err(Error::PreconditionFailed { .. })),
        "{last:?}"
    );
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert_eq!(listed(&volume.local, 10).await, ["kept/y"]);
    let left = fs::read_dir(volume.path().join("bucket")).unwrap();
    assert_eq!(left.count(), 1);
    let temporary = fs::read_dir(volume.path().join(".lifeboat/tmp")).unwrap();
    assert_eq!(temporary.count(), 0);
}
