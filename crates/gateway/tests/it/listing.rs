//! A listing is what an ordered map would list, whatever the keys, the question and the page size.

use std::collections::BTreeSet;
use std::fs;

use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backend::listing::ListQuery;
use proptest::prelude::*;

use crate::support::{Volume, delete, put};

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
