//! Buckets that lie elsewhere: on a volume of their own, or as a prefix of another bucket.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_gateway::backend::listing::{Entry, ListQuery};
use lifeboat_gateway::backend::options::{CopyOptions, DeleteOptions, PutOptions, ReadOptions};
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart, UploadOptions};
use lifeboat_gateway::backend::{Attributes, Backend as _, Error, ObjectPath};
use lifeboat_gateway::router::{Place, Router};

use crate::support::{
    Volume, all_keys, at, begin, content, delete, head, put, put_part, read, read_with,
};

/// `bucket` is `platform/a/` in `shared`; `settings` has a volume of its own; all else is in the main one.
struct World {
    main: Volume,
    settings: Volume,
    router: Router,
}

impl World {
    async fn new() -> Self {
        let main = Volume::new().await;
        let settings = Volume::new().await;
        main.local.create_bucket("shared").await.unwrap();
        settings.local.create_bucket("settings").await.unwrap();
        put(&main.local, "hidden", "not seen through the router")
            .await
            .unwrap();
        let mut router = Router::new(Arc::new(main.local.clone()));
        let place = Place {
            bucket: "shared".to_owned(),
            prefix: "platform/a/".to_owned(),
        };
        router.rename("bucket", place).unwrap();
        router.route("settings", Arc::new(settings.local.clone()));
        Self {
            main,
            settings,
            router,
        }
    }

    fn file(&self, key: &str) -> PathBuf {
        self.main.path().join("shared/platform/a").join(key)
    }
}

fn in_bucket(bucket: &str, key: &str) -> ObjectPath {
    ObjectPath::new(bucket, key).unwrap()
}

#[tokio::test]
async fn a_bucket_that_is_a_prefix_of_another_shows_only_what_is_below() {
    let world = World::new().await;
    let router = &world.router;
    for key in ["a", "deep/b", "deep/c", "z"] {
        put(router, key, key).await.unwrap();
        assert_eq!(fs::read_to_string(world.file(key)).unwrap(), key);
    }
    let beside = in_bucket("shared", "platform/b");
    world
        .main
        .local
        .put(&beside, PutOptions::default(), content("beside"))
        .await
        .unwrap();
    assert_eq!(all_keys(router).await, ["a", "deep/b", "deep/c", "z"]);
    let page = |after: Option<&str>| ListQuery {
        delimiter: Some("/".to_owned()),
        after: after.map(str::to_owned),
        limit: 2,
        ..ListQuery::default()
    };
    let first = router.list("bucket", &page(None)).await.unwrap();
    let names: Vec<_> = first.entries.iter().map(Entry::name).collect();
    assert_eq!((names, first.truncated), (vec!["a", "deep/"], true));
    let rest = router.list("bucket", &page(Some("deep/"))).await.unwrap();
    let names: Vec<_> = rest.entries.iter().map(Entry::name).collect();
    assert_eq!((names, rest.truncated), (vec!["z"], false));

    delete(router, "a").await.unwrap();
    let many = ["deep/b", "deep/c", &"k".repeat(1024)]
        .map(|key| (at(key), DeleteOptions::default()))
        .into();
    let outcomes = router.delete_many(many).await;
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok());
    assert!(matches!(outcomes[2], Err(Error::KeyTooLong { .. })));
    assert_eq!(all_keys(router).await, ["z"]);
}

#[tokio::test]
async fn errors_speak_of_the_names_that_clients_know() {
    let world = World::new().await;
    let router = &world.router;
    let missing = read(router, "none").await.unwrap_err();
    assert!(
        matches!(&missing, Error::NoSuchKey { key } if key == "none"),
        "{missing}"
    );
    let exists = router.create_bucket("bucket").await.unwrap_err();
    assert!(
        matches!(&exists, Error::BucketExists { bucket } if bucket == "bucket"),
        "{exists}"
    );
    let part = router.delete_bucket("bucket").await.unwrap_err();
    assert!(matches!(part, Error::NotSupported { .. }), "{part}");
    world.main.local.delete_bucket("shared").await.unwrap();
    let gone = put(router, "k", "x").await.unwrap_err();
    assert!(
        matches!(&gone, Error::NoSuchBucket { bucket } if bucket == "bucket"),
        "{gone}"
    );
}

#[tokio::test]
async fn buckets_are_listed_once_wherever_they_lie() {
    let world = World::new().await;
    let names: Vec<_> = world.router.buckets().await.unwrap();
    let names: Vec<_> = names.into_iter().map(|bucket| bucket.name).collect();
    assert_eq!(names, ["bucket", "settings", "shared"]);
    world
        .settings
        .local
        .delete_bucket("settings")
        .await
        .unwrap();
    let names = world.router.buckets().await.unwrap();
    assert_eq!(names.len(), 2);
    world.router.create_bucket("settings").await.unwrap();
    assert!(world.settings.path().join("settings").is_dir());
}

#[tokio::test]
async fn objects_are_copied_inside_a_store_and_between_two() {
    let world = World::new().await;
    let router = &world.router;
    put(router, "source", "bytes").await.unwrap();
    let shared = in_bucket("shared", "copy");
    let inside = router
        .copy(&at("source"), &shared, CopyOptions::default())
        .await
        .unwrap();
    assert_eq!(
        inside,
        router
            .head(&shared, &ReadOptions::default())
            .await
            .unwrap()
            .into()
    );
    let attributes = Attributes {
        user: [("day".to_owned(), "monday".to_owned())].into(),
        ..Attributes::default()
    };
    let options = CopyOptions {
        attributes: Some(attributes.clone()),
        ..CopyOptions::default()
    };
    let settings = in_bucket("settings", "copy");
    let across = router
        .copy(&at("source"), &settings, options)
        .await
        .unwrap();
    assert_eq!(across.etag, inside.etag);
    let copy = router
        .head(&settings, &ReadOptions::default())
        .await
        .unwrap();
    assert_eq!(copy.attributes, attributes);
    let file = world.settings.path().join("settings/copy");
    assert_eq!(fs::read_to_string(file).unwrap(), "bytes");
}

#[tokio::test]
async fn an_upload_goes_on_where_its_bucket_lies() {
    let world = World::new().await;
    let router = &world.router;
    put(router, "source", "0123456789").await.unwrap();
    let upload = begin(router, "big").await.unwrap();
    let first = put_part(router, "big", &upload, 1, content("first"))
        .await
        .unwrap();
    let listed = router.uploads("bucket", "").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].key.as_str(), &listed[0].id), ("big", &upload));
    let arrived = router.parts(&at("big"), &upload).await.unwrap();
    assert_eq!(arrived.parts, std::slice::from_ref(&first));
    let options = CompleteOptions {
        parts: vec![CompletedPart {
            number: 1,
            etag: first.etag,
            checksum: None,
        }],
        ..CompleteOptions::default()
    };
    router
        .complete_upload(&at("big"), &upload, options)
        .await
        .unwrap();
    assert_eq!(read(router, "big").await.unwrap(), "first");
    assert!(world.file("big").is_file());

    let settings = in_bucket("settings", "big");
    let upload = router
        .begin_upload(&settings, UploadOptions::default())
        .await
        .unwrap();
    let part = router
        .copy_part(
            &at("source"),
            &ReadOptions::default(),
            &settings,
            &upload.id,
            1,
        )
        .await
        .unwrap();
    assert_eq!(part.size, 10);
    assert_eq!(part.etag, head(router, "source").await.unwrap().etag);
    router.abort_upload(&settings, &upload.id).await.unwrap();
    assert!(router.uploads("settings", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn the_status_is_that_of_every_store_once() {
    let world = World::new().await;
    begin(&world.router, "one").await.unwrap();
    world
        .router
        .begin_upload(&in_bucket("settings", "two"), UploadOptions::default())
        .await
        .unwrap();
    let status = world.router.status().await.unwrap();
    assert_eq!(status.uploads, Some(2));
    let volumes: Vec<_> = status
        .volumes
        .iter()
        .map(|space| space.volume.as_path())
        .collect();
    assert_eq!(volumes, [world.main.path(), world.settings.path()]);
    let hidden = read_with(&world.router, "hidden", &ReadOptions::default()).await;
    assert!(matches!(hidden, Err(Error::NoSuchKey { .. })));
}
