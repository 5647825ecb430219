//! A gateway ended by SIGKILL while clients write: no acknowledged object is lost, none is half there. With a trash,
//! nothing that an acknowledged object took the place of is lost either.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use lifeboat_testkit::random::Seeded;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::world::{BUCKET, World};

const INSTANTS: usize = 180;
/// Fewer, because at the end each object is restored and read.
const INSTANTS_WITH_TRASH: usize = 60;
const CLIENTS: u64 = 4;
const KEYS_OF_A_CLIENT: u64 = 6;
/// A little more than the least size of a part.
const PART: usize = 5 * 1024 * 1024 + 17;

/// The content of an object, by which its bytes can be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    seed: u64,
    length: usize,
}

/// What may be found under a key; no content stands for no object.
#[derive(Debug, Clone, Default)]
struct Expected {
    /// What the last answered request left.
    acknowledged: Option<Content>,
    /// What a request that got no answer would have left; the same where there is none.
    pending: Option<Content>,
    /// What the key held before, and no more, in this order.
    past: Vec<Content>,
}

impl Expected {
    fn now_holds(&mut self, content: Option<Content>) {
        if content != self.acknowledged {
            self.past.extend(self.acknowledged);
        }
        self.acknowledged = content;
        self.pending = content;
    }
}

type Model = Arc<Mutex<BTreeMap<String, Expected>>>;

#[derive(Debug, Clone, Copy)]
enum Step {
    Put(Content),
    Multipart(Content),
    CopyFrom(u64),
    Delete,
}

#[test]
fn acknowledged_objects_survive_a_kill_at_any_instant() {
    kill_again_and_again(World::new(), INSTANTS);
}

#[test]
fn everything_replaced_or_deleted_is_in_the_trash_after_a_kill_at_any_instant() {
    let world = World::with_trash();
    let (world, model) = kill_again_and_again(world, INSTANTS_WITH_TRASH);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut lost = Vec::new();
    let model = model.lock().unwrap().clone();
    let mut looked_at = 0;
    for (key, expected) in model {
        let mut kept = kept(&world, &key);
        for content in expected.past {
            looked_at += 1;
            match kept.iter().position(|(size, _)| *size == content.length) {
                // Lengths hardly ever meet, and the bytes are compared all the same.
                Some(index) => {
                    let (_, id) = kept.remove(index);
                    let restore = ["gateway", "trash", "restore", BUCKET, "--id", &id];
                    world.ok(&[&restore[..], &["--force"]].concat());
                    let object = runtime.block_on(async {
                        let object = world.s3().get(&Path::from(key.as_str())).await.unwrap();
                        object.bytes().await.unwrap()
                    });
                    assert_eq!(
                        object,
                        bytes(content),
                        "`{key}` came back as something else"
                    );
                }
                None => lost.push((key.clone(), content)),
            }
        }
    }
    assert_eq!(lost, [], "of {looked_at}");
    assert!(
        looked_at > INSTANTS_WITH_TRASH,
        "hardly anything was replaced"
    );
}

/// Sizes and ids of what the trash has of a key.
fn kept(world: &World, key: &str) -> Vec<(usize, String)> {
    let listed = world.json(&["gateway", "trash", "list", "--prefix", key]);
    let objects = listed["objects"].as_array().unwrap().iter();
    objects
        .filter(|object| object["key"] == key)
        .map(|object| {
            let size = usize::try_from(object["bytes"].as_u64().unwrap()).unwrap();
            (size, object["id"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// Lets clients write, kills the gateway and compares, at so many instants.
fn kill_again_and_again(mut world: World, instants: usize) -> (World, Model) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let model = Model::default();
    let mut seeded = Seeded::from_environment();
    let mut requests = 0;
    let mut killed = 0;
    // Where the disk is slow many are killed before they have answered anything, and more are needed.
    while killed < instants || (requests <= 4 * instants && killed < 10 * instants) {
        killed += 1;
        let client = world.s3();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let rng = StdRng::seed_from_u64(seeded.rng.random());
                runtime.spawn(work(client.clone(), number, rng, Arc::clone(&model)))
            })
            .collect();
        let gateway = world.take_gateway();
        let alive = Duration::from_micros(seeded.rng.random_range(0..120_000));
        assert!(!gateway.ends_within(alive), "the gateway ended by itself");
        gateway.kill().unwrap();
        for ended in clients {
            requests += runtime.block_on(ended).unwrap();
        }
        world.start_gateway();
        runtime.block_on(compare(&world.s3(), &model));
    }
    assert!(
        requests > instants,
        "the clients hardly wrote: {requests} requests"
    );
    (world, model)
}

/// Changes its own keys until a request gets no answer. Returns how many were answered.
async fn work(s3: AmazonS3, client: u64, mut rng: StdRng, model: Model) -> usize {
    let mut answered = 0;
    loop {
        let number = rng.random_range(0..KEYS_OF_A_CLIENT);
        let key = key(client, number);
        let step = choose(&mut rng);
        let after = match step {
            Step::Put(content) | Step::Multipart(content) => Some(content),
            Step::CopyFrom(other) => match model.lock().unwrap().get(&self::key(client, other)) {
                Some(Expected {
                    acknowledged: Some(content),
                    ..
                }) if other != number => Some(*content),
                _ => continue,
            },
            Step::Delete => None,
        };
        model
            .lock()
            .unwrap()
            .entry(key.clone())
            .or_default()
            .pending = after;
        if let Err(error) = perform(&s3, &key, client, step).await {
            let error = error.to_string();
            assert!(
                !error.contains("Server returned"),
                "a living gateway refused: {error}"
            );
            return answered;
        }
        answered += 1;
        model
            .lock()
            .unwrap()
            .entry(key)
            .or_default()
            .now_holds(after);
    }
}

fn choose(rng: &mut StdRng) -> Step {
    let content = |rng: &mut StdRng, length| Content {
        seed: rng.random(),
        length,
    };
    match rng.random_range(0..10) {
        0 => Step::Multipart(content(rng, PART + 1000)),
        1 | 2 => Step::CopyFrom(rng.random_range(0..KEYS_OF_A_CLIENT)),
        3 => Step::Delete,
        _ => {
            let length = rng.random_range(0..64 * 1024);
            Step::Put(content(rng, length))
        }
    }
}

async fn perform(s3: &AmazonS3, key: &str, client: u64, step: Step) -> object_store::Result<()> {
    let path = Path::from(key);
    match step {
        Step::Put(content) => s3.put(&path, bytes(content).into()).await.map(drop),
        Step::Multipart(content) => {
            let all = bytes(content);
            let mut upload = s3.put_multipart(&path).await?;
            upload.put_part(all.slice(..PART).into()).await?;
            upload.put_part(all.slice(PART..).into()).await?;
            upload.complete().await.map(drop)
        }
        Step::CopyFrom(other) => s3.copy(&Path::from(self::key(client, other)), &path).await,
        Step::Delete => s3.delete(&path).await,
    }
}

/// Compares what is served and listed with what may be there, and takes what was found as the new truth.
async fn compare(s3: &AmazonS3, model: &Model) {
    let listed: Vec<String> = s3
        .list(None)
        .map_ok(|object| object.location.to_string())
        .try_collect()
        .await
        .unwrap();
    let expected = model.lock().unwrap().clone();
    let mut present = Vec::new();
    for (key, expected) in expected {
        let found = match s3.get(&Path::from(key.as_str())).await {
            Ok(object) => Some(object.bytes().await.unwrap()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("`{key}` cannot be read: {error}"),
        };
        let allowed = [expected.acknowledged, expected.pending];
        let is = |content: &Option<Content>| found == content.map(bytes);
        let Some(content) = allowed.into_iter().find(is) else {
            let length = found.map(|found| found.len());
            panic!("`{key}` holds {length:?} bytes, which is none of {allowed:?}");
        };
        if content.is_some() {
            present.push(key.clone());
        }
        model
            .lock()
            .unwrap()
            .entry(key)
            .or_default()
            .now_holds(content);
    }
    assert_eq!(listed, present, "the listing does not show what is served");
}

fn key(client: u64, number: u64) -> String {
    // Some keys lie in folders, so that folders come and go.
    if number.is_multiple_of(2) {
        format!("client-{client}/{number}/object")
    } else {
        format!("client-{client}-{number}")
    }
}

fn bytes(content: Content) -> Bytes {
    let mut bytes = vec![0; content.length];
    StdRng::seed_from_u64(content.seed).fill(&mut bytes[..]);
    bytes.into()
}
