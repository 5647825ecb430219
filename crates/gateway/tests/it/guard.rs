//! Every method of a backend, as each role may use it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use lifeboat_gateway::auth::guard::Guarded;
use lifeboat_gateway::auth::policy::{Grant, Role};
use lifeboat_gateway::backend::condition::{EtagMatch, WriteCondition};
use lifeboat_gateway::backend::listing::ListQuery;
use lifeboat_gateway::backend::options::{CopyOptions, DeleteOptions, PutOptions, ReadOptions};
use lifeboat_gateway::backend::relay::Relayed;
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart, UploadOptions};
use lifeboat_gateway::backend::{Backend as _, Error};
use lifeboat_gateway::{Credentials, User};

use crate::support::{Volume, at, begin, content, put, put_part, read};

/// A volume with the objects `old` and `source`, an empty bucket, and an upload to each of `new` and `old`.
struct World {
    volume: Volume,
    guarded: Guarded,
    new: String,
    old: String,
}

pub(crate) fn grant(role: Role, bucket: &str, prefix: &str) -> Grant {
    Grant::from(lifeboat_core::settings::users::Grant {
        role,
        buckets: vec![bucket.to_owned()],
        prefix: prefix.to_owned(),
    })
}

fn user(grants: Vec<Grant>) -> Arc<User> {
    let credentials = Credentials {
        access_key: "somebody".to_owned(),
        secret_key: "a-secret-of-somebody".to_owned(),
    };
    Arc::new(User {
        credentials,
        grants,
    })
}

impl World {
    async fn new(grants: Vec<Grant>) -> Self {
        let volume = Volume::new().await;
        let backend = &volume.local;
        backend.create_bucket("empty-bucket").await.unwrap();
        for key in ["old", "source"] {
            put(backend, key, key).await.unwrap();
        }
        let mut ids = Vec::new();
        for key in ["new", "old"] {
            let id = begin(backend, key).await.unwrap();
            put_part(backend, key, &id, 1, content("part"))
                .await
                .unwrap();
            ids.push(id);
        }
        let guarded = Guarded::new(Arc::new(backend.clone()), user(grants));
        let [new, old] = ids.try_into().unwrap();
        Self {
            volume,
            guarded,
            new,
            old,
        }
    }

    async fn complete(&self, key: &str, upload: &str) -> Result<(), Error> {
        let parts = self.volume.local.parts(&at(key), upload).await?.parts;
        let part = CompletedPart {
            number: 1,
            etag: parts[0].etag.clone(),
            checksum: None,
        };
        let options = CompleteOptions {
            parts: vec![part],
            ..CompleteOptions::default()
        };
        self.guarded
            .complete_upload(&at(key), upload, options)
            .await
            .map(drop)
    }
}

type Call = for<'a> fn(&'a World) -> BoxFuture<'a, Result<(), Error>>;

/// A use of a method, with the least role that is enough; nobody's where there is none.
struct Row(&'static str, Option<Role>, Call);

macro_rules! call {
    (|$world:ident| $body:expr) => {
        |$world| Box::pin(async move { $body.await.map(drop) })
    };
}

fn rows() -> Vec<Row> {
    let mut rows = buckets_and_objects();
    rows.extend(uploads());
    rows
}

fn row(name: &'static str, role: Role, call: Call) -> Row {
    Row(name, Some(role), call)
}

fn buckets_and_objects() -> Vec<Row> {
    use Role::{Admin, AppendOnly, Read, Write};
    vec![
        row(
            "create_bucket",
            Admin,
            call!(|w| w.guarded.create_bucket("another")),
        ),
        row("bucket", Read, call!(|w| w.guarded.bucket("bucket"))),
        row(
            "delete_bucket",
            Admin,
            call!(|w| w.guarded.delete_bucket("empty-bucket")),
        ),
        row(
            "put",
            AppendOnly,
            call!(|w| w
                .guarded
                .put(&at("new"), PutOptions::default(), content("x"))),
        ),
        row(
            "put",
            Write,
            call!(|w| w
                .guarded
                .put(&at("old"), PutOptions::default(), content("x"))),
        ),
        row(
            "head",
            Read,
            call!(|w| w.guarded.head(&at("old"), &ReadOptions::default())),
        ),
        row("get", Read, |w| {
            Box::pin(async move {
                w.guarded
                    .get(&at("old"), &ReadOptions::default())
                    .await
                    .map(drop)
            })
        }),
        row(
            "delete",
            Write,
            call!(|w| w.guarded.delete(&at("old"), &DeleteOptions::default())),
        ),
        // A key that holds nothing is deleted with success, so it must be refused all the same.
        row(
            "delete",
            Write,
            call!(|w| w.guarded.delete(&at("none"), &DeleteOptions::default())),
        ),
        row("delete_many", Write, |w| {
            Box::pin(async move {
                let objects = vec![(at("old"), DeleteOptions::default())];
                w.guarded.delete_many(objects).await.remove(0).map(drop)
            })
        }),
        row(
            "copy",
            AppendOnly,
            call!(|w| w
                .guarded
                .copy(&at("source"), &at("new"), CopyOptions::default())),
        ),
        row(
            "copy",
            Write,
            call!(|w| w
                .guarded
                .copy(&at("source"), &at("old"), CopyOptions::default())),
        ),
        row("list", Read, |w| {
            Box::pin(async move {
                let query = ListQuery {
                    limit: 10,
                    ..ListQuery::default()
                };
                w.guarded.list("bucket", &query).await.map(drop)
            })
        }),
        Row("status", None, call!(|w| w.guarded.status())),
    ]
}

fn uploads() -> Vec<Row> {
    use Role::{AppendOnly, Read, Write};
    vec![
        row(
            "begin_upload",
            AppendOnly,
            call!(|w| w.guarded.begin_upload(&at("new"), UploadOptions::default())),
        ),
        row(
            "put_part",
            AppendOnly,
            call!(|w| w
                .guarded
                .put_part(&at("new"), &w.new, 2, content("x"), Relayed::default())),
        ),
        row(
            "copy_part",
            AppendOnly,
            call!(|w| w.guarded.copy_part(
                &at("source"),
                &ReadOptions::default(),
                &at("new"),
                &w.new,
                2
            )),
        ),
        row(
            "parts",
            Read,
            call!(|w| w.guarded.parts(&at("new"), &w.new)),
        ),
        row(
            "complete_upload",
            AppendOnly,
            call!(|w| w.complete("new", &w.new)),
        ),
        row(
            "complete_upload",
            Write,
            call!(|w| w.complete("old", &w.old)),
        ),
        row(
            "abort_upload",
            AppendOnly,
            call!(|w| w.guarded.abort_upload(&at("new"), &w.new)),
        ),
        row("uploads", Read, call!(|w| w.guarded.uploads("bucket", ""))),
        Row(
            "sweep_uploads",
            None,
            call!(|w| w.guarded.sweep_uploads(Duration::ZERO)),
        ),
    ]
}

/// Tell nothing and change nothing, or are tested on their own.
const ELSEWHERE: [&str; 4] = ["placed", "buffers", "buckets", "relay"];

#[test]
fn every_method_of_a_backend_has_a_row() {
    let source = include_str!("../../src/backend.rs");
    let (_, rest) = source.split_once("pub trait Backend").unwrap();
    let (methods, _) = rest.split_once("\n}\n").unwrap();
    let found: BTreeSet<_> = methods
        .split("fn ")
        .skip(1)
        .filter_map(|text| text.split_once('(').map(|(name, _)| name))
        .collect();
    let rows = rows();
    let known: BTreeSet<_> = rows.iter().map(|row| row.0).chain(ELSEWHERE).collect();
    assert_eq!(found, known);
}

#[tokio::test]
async fn each_role_may_use_what_its_name_says_and_nothing_else() {
    for role in Role::ALL {
        for Row(name, needs, call) in rows() {
            let world = World::new(vec![grant(role, "*", "")]).await;
            let allowed = needs.is_some_and(|needs| role >= needs);
            match call(&world).await {
                Ok(()) => assert!(allowed, "{role} could {name}"),
                Err(Error::Denied { .. } | Error::NotSupported { .. }) => {
                    assert!(!allowed, "{role} could not {name}");
                }
                Err(other) => panic!("{role} {name}: {other}"),
            }
            if role < Role::Write {
                let old = read(&world.volume.local, "old").await.unwrap();
                assert_eq!(old, "old", "{role} {name}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_grant_for_it_nothing_is_allowed() {
    for grants in [
        Vec::new(),
        vec![grant(Role::Admin, "elsewhere", "")],
        vec![grant(Role::Admin, "*", "below/")],
    ] {
        let below = grants
            .first()
            .is_some_and(|first| *first == grant(Role::Admin, "*", "below/"));
        for Row(name, _, call) in rows() {
            let world = World::new(grants.clone()).await;
            let seen = below && name == "bucket";
            assert_eq!(call(&world).await.is_ok(), seen, "{name}");
        }
    }
}

#[tokio::test]
async fn whoever_may_only_add_learns_why_and_a_condition_of_their_own_stays_one() {
    let world = World::new(vec![grant(Role::AppendOnly, "*", "")]).await;
    let put = async |key: &str, condition| {
        let options = PutOptions {
            condition,
            ..PutOptions::default()
        };
        world.guarded.put(&at(key), options, content("x")).await
    };
    let error = put("old", WriteCondition::None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "role `append-only` of this key pair in bucket `bucket` does not allow to overwrite objects"
    );
    let error = put("old", WriteCondition::Absent).await.unwrap_err();
    assert!(matches!(error, Error::PreconditionFailed { .. }), "{error}");
    for condition in [
        WriteCondition::Matches(EtagMatch::Any),
        WriteCondition::Differs("etag".to_owned()),
    ] {
        for key in ["old", "other"] {
            let error = put(key, condition.clone()).await.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{error}");
        }
    }
    put("other", WriteCondition::Absent).await.unwrap();
}

#[tokio::test]
async fn of_many_who_may_only_add_one_does() {
    let world = World::new(vec![grant(Role::AppendOnly, "*", "")]).await;
    let writers = (0..16).map(|number| {
        let guarded = &world.guarded;
        let text = format!("writer {number}");
        async move { put(guarded, "one", &text).await.is_ok().then_some(text) }
    });
    let winners: Vec<_> = futures::future::join_all(writers)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(read(&world.volume.local, "one").await.unwrap(), winners[0]);
}

#[tokio::test]
async fn a_copy_takes_the_right_to_read_its_source() {
    let grants = vec![grant(Role::Write, "bucket", "mine/")];
    let world = World::new(grants).await;
    let guarded = &world.guarded;
    let copy = async |from: &str| {
        let options = CopyOptions::default();
        guarded.copy(&at(from), &at("mine/k"), options).await
    };
    assert!(matches!(copy("source").await, Err(Error::Denied { .. })));
    let id = begin(guarded, "mine/k").await.unwrap();
    let copy_part = async |from: &str| {
        let read = ReadOptions::default();
        guarded
            .copy_part(&at(from), &read, &at("mine/k"), &id, 1)
            .await
    };
    assert!(matches!(
        copy_part("source").await,
        Err(Error::Denied { .. })
    ));
    put(guarded, "mine/source", "x").await.unwrap();
    copy("mine/source").await.unwrap();
    copy_part("mine/source").await.unwrap();
}

#[tokio::test]
async fn of_many_deletions_the_allowed_are_done_and_the_others_told() {
    let world = World::new(vec![grant(Role::Write, "bucket", "mine/")]).await;
    put(&world.volume.local, "mine/k", "x").await.unwrap();
    let objects = ["old", "mine/k", "source", "mine/none"]
        .map(|key| (at(key), DeleteOptions::default()))
        .into();
    let outcomes = world.guarded.delete_many(objects).await;
    let done: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(done, [false, true, false, true]);
    for key in ["old", "source"] {
        assert!(read(&world.volume.local, key).await.is_ok(), "{key}");
    }
    assert!(read(&world.volume.local, "mine/k").await.is_err());
}

#[tokio::test]
async fn setting_protection_aside_takes_an_admin() {
    let mut relayed = Relayed::default();
    relayed.insert("x-amz-bypass-governance-retention", "true");
    let options = DeleteOptions {
        relayed,
        ..DeleteOptions::default()
    };
    for (role, allowed) in [(Role::Write, false), (Role::Admin, true)] {
        let world = World::new(vec![grant(role, "*", "")]).await;
        let deleted = world.guarded.delete(&at("old"), &options).await;
        assert_eq!(deleted.is_ok(), allowed, "{role}");
    }
}

#[tokio::test]
async fn only_buckets_in_which_there_is_a_grant_are_listed() {
    let world = World::new(vec![grant(Role::Read, "empty-*", "some/")]).await;
    let buckets = world.guarded.buckets().await.unwrap();
    let names: Vec<_> = buckets.into_iter().map(|bucket| bucket.name).collect();
    assert_eq!(names, ["empty-bucket"]);
}
