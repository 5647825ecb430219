//! What is measured: groups of steps that one server goes through in one life.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use super::contender::Contender;
use super::ground::Ground;

/// Steps that share a server and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Group {
    /// Objects of 16 KiB from 1, 8 and 64 clients.
    Small,
    /// Objects of 100 MB, written and read in one stream, and ranges of them.
    Large,
    /// Uploads in parts of 5 MiB as vmbackup makes them, and copies of what was uploaded.
    Parts,
    /// Parts of 5 MiB from 64 clients: what all of them together cost in memory.
    Crowd,
    /// A hundred thousand keys, listed and deleted.
    Keys,
    /// 10 GiB below one prefix, in objects of 1 GiB: what does not depend on the bytes.
    Prefix,
    /// As in a container of the platform: one processor, and less memory for us than for s3proxy.
    Container,
    /// The tools that people use: vmbackup, vmrestore and rclone.
    Clients,
}

impl Group {
    pub(crate) const ALL: [Self; 8] = [
        Self::Small,
        Self::Large,
        Self::Parts,
        Self::Crowd,
        Self::Keys,
        Self::Container,
        Self::Clients,
        Self::Prefix,
    ];

    /// Where it is worth its time.
    pub(crate) fn is_on(self, ground: Ground) -> bool {
        match self {
            Self::Small | Self::Large | Self::Parts | Self::Keys | Self::Clients => true,
            Self::Crowd => ground != Ground::Synchronous,
            // The files of a container in memory would count as its memory.
            Self::Container => ground != Ground::Memory,
            // Those who copy bytes need 20 GiB.
            Self::Prefix => ground == Ground::Disk,
        }
    }

    pub(crate) fn is_for(self, contender: Contender) -> bool {
        self != Self::Container || matches!(contender, Contender::Lifeboat | Contender::S3proxy)
    }

    /// Copies of 10 GiB are repeated in one life of the server: making 10 GiB takes longer than all the rest.
    pub(crate) fn is_in(self, round: u32) -> bool {
        self != Self::Prefix || round == 0
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    /// Enough to see that everything works; the figures say little.
    Quick,
}

impl Scale {
    fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }

    /// How many keys are listed and deleted.
    pub(crate) fn keys(self) -> u64 {
        self.pick(100_000, 5_000)
    }

    /// Bytes below the large prefix.
    pub(crate) fn prefix_bytes(self) -> u64 {
        self.pick(10 << 30, 1 << 30)
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// MiB in a second; processor seconds for a GiB.
    Bytes,
    /// Operations in a second; processor microseconds for each.
    Operations,
    /// Seconds for all of it, the fewer the better; processor seconds.
    Seconds,
    /// Milliseconds of one call among others, the fewer the better; its processor time is in the step around it.
    Milliseconds,
}

impl Unit {
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::Bytes | Self::Operations)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bytes => "MiB/s",
            Self::Operations => "1/s",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
        })
    }
}

/// Names a figure, across servers, grounds and rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
}

/// One run of the load program.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Warming up and cleaning away have none.
    pub(crate) task: Option<Task>,
    /// The last call of the uploads in this step.
    pub(crate) complete: Option<Task>,
    pub(crate) operation: &'static str,
    pub(crate) flags: Vec<String>,
    /// How many operations there must have been for the next step to make sense.
    expected: Option<u64>,
}

impl Step {
    fn new(operation: &'static str, flags: &str) -> Self {
        Self {
            task: None,
            complete: None,
            operation,
            flags: flags.split_whitespace().map(str::to_owned).collect(),
            expected: None,
        }
    }

    fn is(mut self, name: &'static str, title: &'static str, unit: Unit) -> Self {
        self.task = Some(Task { name, title, unit });
        self
    }

    fn completes(mut self, name: &'static str, title: &'static str) -> Self {
        let unit = Unit::Milliseconds;
        self.complete = Some(Task { name, title, unit });
        self
    }

    fn expects(mut self, operations: u64) -> Self {
        self.expected = Some(operations);
        self
    }

    pub(crate) fn is_done(&self, operations: u64) -> bool {
        self.expected.is_none_or(|expected| expected == operations)
    }
}

/// Who has not done it after this has a rate all the same, but no more steps: some are made a hundred times slower by
/// syncs.
const PATIENCE: &str = "40s";

/// The keys that a volume of [`Group::Keys`] is prepared with.
pub(crate) fn filling(scale: Scale) -> Step {
    let flags = format!(
        "-prefix keys/ -size 100 -clients 16 -count {}",
        scale.keys()
    );
    Step::new("put", &flags).expects(scale.keys())
}

/// What one server goes through. [`Group::Clients`] has programs of its own.
pub(crate) fn steps(group: Group, scale: Scale, rounds: u32) -> Vec<Step> {
    let mut steps = vec![Step::new(
        "put",
        &format!(
            "-prefix warm/ -size 16384 -clients 8 -limit {}",
            scale.pick("1s", "300ms")
        ),
    )];
    steps.extend(match group {
        Group::Small => small(scale),
        Group::Large => large(scale),
        Group::Parts => parts(scale),
        Group::Crowd => vec![crowd(scale)],
        Group::Keys => keys(scale),
        Group::Prefix => prefix(scale, rounds),
        Group::Container => container(scale),
        Group::Clients => Vec::new(),
    });
    steps
}

fn small(scale: Scale) -> Vec<Step> {
    let limit = scale.pick("2s", "500ms");
    let put = |clients: u32| {
        Step::new(
            "put",
            &format!("-prefix small-{clients}/ -size 16384 -clients {clients} -limit {limit}"),
        )
    };
    vec![
        put(1).is("put-16k-1", "PUT 16 KiB, 1 client", Unit::Operations),
        put(8).is("put-16k-8", "PUT 16 KiB, 8 clients", Unit::Operations),
        put(64).is("put-16k-64", "PUT 16 KiB, 64 clients", Unit::Operations),
        Step::new(
            "get",
            &format!("-prefix small-8/ -clients 8 -limit {limit}"),
        )
        .is("get-16k-8", "GET 16 KiB, 8 clients", Unit::Operations),
    ]
}

fn large(scale: Scale) -> Vec<Step> {
    let limit = scale.pick("2s", "500ms");
    let count = scale.pick(6, 2);
    vec![
        Step::new(
            "put",
            &format!("-prefix large/ -size 100000000 -count {count} -limit 20s"),
        )
        .is("put-100m", "PUT 100 MB, 1 client", Unit::Bytes),
        Step::new("get", &format!("-prefix large/ -limit {limit}")).is(
            "get-100m",
            "GET 100 MB, 1 client",
            Unit::Bytes,
        ),
        Step::new(
            "get",
            &format!("-prefix large/ -range 1048576 -clients 8 -limit {limit}"),
        )
        .is("get-range", "GET ranges of 1 MiB, 8 clients", Unit::Bytes),
    ]
}

fn parts(scale: Scale) -> Vec<Step> {
    let count = scale.pick(10, 3);
    vec![
        Step::new(
            "multipart",
            &format!("-prefix parts/ -size 67108864 -clients 10 -count {count} -limit {PATIENCE}"),
        )
        .is("parts", "parts of 5 MiB, 10 uploads at once", Unit::Bytes)
        .completes("complete-64m", "complete an upload of 64 MiB")
        .expects(count),
        Step::new("copy", "-prefix parts/ -to copies/ -clients 10")
            .is("copy-640m", "copy 640 MiB in 10 objects", Unit::Seconds)
            .expects(count),
    ]
}

fn crowd(scale: Scale) -> Step {
    let count = scale.pick(128, 64);
    Step::new(
        "multipart",
        &format!("-prefix crowd/ -size 10485760 -clients 64 -count {count} -limit {PATIENCE}"),
    )
    .is(
        "parts-64",
        "parts of 5 MiB, 64 uploads at once",
        Unit::Bytes,
    )
}

fn keys(scale: Scale) -> Vec<Step> {
    vec![
        Step::new("list", "-prefix keys/")
            .is("list-100k", "list 100,000 keys", Unit::Operations)
            .expects(scale.keys()),
        Step::new("delete", "-prefix keys/ -limit 20s").is(
            "delete-100k",
            "delete 100,000 keys, 1000 in a request",
            Unit::Operations,
        ),
    ]
}

fn prefix(scale: Scale, rounds: u32) -> Vec<Step> {
    let count = scale.pick(10, 1);
    let copy = Step::new("copy", "-prefix prefix/ -to copies/ -clients 10")
        .is("copy-10g", "copy 10 GiB in 10 objects", Unit::Seconds)
        .expects(count);
    let mut steps = vec![
        Step::new(
            "multipart",
            &format!("-prefix prefix/ -size 1073741824 -clients 10 -count {count}"),
        )
        .is(
            "parts-10g",
            "10 GiB in parts of 5 MiB, 10 uploads at once",
            Unit::Bytes,
        )
        .completes("complete-1g", "complete an upload of 1 GiB")
        .expects(count),
    ];
    for _ in 0..rounds {
        steps.push(copy.clone());
        steps.push(Step::new("delete-each", "-prefix copies/").expects(count));
    }
    steps
}

fn container(scale: Scale) -> Vec<Step> {
    let limit = scale.pick("2s", "500ms");
    let (large, uploads) = scale.pick((6, 10), (2, 3));
    vec![
        Step::new(
            "put",
            &format!("-prefix small/ -size 16384 -clients 8 -limit {limit}"),
        )
        .is(
            "container-put-16k-8",
            "in a container: PUT 16 KiB, 8 clients",
            Unit::Operations,
        ),
        Step::new(
            "put",
            &format!("-prefix large/ -size 100000000 -count {large} -limit 20s"),
        )
        .is(
            "container-put-100m",
            "in a container: PUT 100 MB",
            Unit::Bytes,
        ),
        Step::new("get", &format!("-prefix large/ -limit {limit}")).is(
            "container-get-100m",
            "in a container: GET 100 MB",
            Unit::Bytes,
        ),
        Step::new(
            "multipart",
            &format!(
                "-prefix parts/ -size 67108864 -clients 10 -count {uploads} -limit {PATIENCE}"
            ),
        )
        .is(
            "container-parts",
            "in a container: parts of 5 MiB, 10 uploads",
            Unit::Bytes,
        ),
        Step {
            task: Some(Task {
                name: "container-parts-64",
                title: "in a container: parts of 5 MiB, 64 uploads",
                unit: Unit::Bytes,
            }),
            ..crowd(scale)
        },
    ]
}
