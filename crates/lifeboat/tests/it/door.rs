//! The gateway's door from outside: TLS as curl, boto3 and our own commands meet it, users, signals, memory under a crowd.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_testkit::process::run;
use lifeboat_testkit::python;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::signer::Signer as _;
use object_store::{ClientOptions, ObjectStoreExt as _};

use crate::certificate;
use crate::world::{ACCESS_KEY, BUCKET, SECRET_KEY, World, path};

const MIB: usize = 1024 * 1024;

/// A gateway with more settings than the ordinary one.
fn world(settings: impl FnOnce(&World) -> String) -> World {
    let mut world = World::without_gateway();
    let settings = settings(&world);
    let values = world
        .values()
        .replace("gateway: {", &format!("gateway: {{{settings}, "));
    world.write_values(&values);
    world.start_gateway();
    world
}

/// A gateway with a certificate, that of its authority in `ca.crt`.
fn with_certificate() -> World {
    let world = world(|world| {
        certificate::write(&world.path(""));
        "tls: {certificate: tls.crt, key: tls.key}".to_owned()
    });
    assert!(world.endpoint().starts_with("https://"));
    world
}

fn client(world: &World) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(world.endpoint())
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// The head of a PUT, signed in its query.
fn signed_put(
    runtime: &tokio::runtime::Runtime,
    s3: &AmazonS3,
    key: &str,
    length: usize,
) -> String {
    let key = object_store::path::Path::from(key);
    let signing = s3.signed_url("PUT".parse().unwrap(), &key, Duration::from_mins(10));
    let url = runtime.block_on(signing).unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    format!(
        "PUT {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )
}

fn address(url: &str) -> SocketAddr {
    let (_, address) = url.split_once("://").unwrap();
    address.parse().unwrap()
}

/// What the second port answers.
fn monitored(world: &World, page: &str) -> String {
    let mut stream = TcpStream::connect(address(world.monitor())).unwrap();
    let request = format!("GET {page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks the second port until the answer is as wanted.
#[expect(
    clippy::disallowed_methods,
    reason = "what is waited for needs the processor too"
)]
fn wait_for(world: &World, page: &str, wanted: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = monitored(world, page);
        if wanted(&answer) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{page} never was as wanted: {answer}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A number of the page of metrics.
fn number(metrics: &str, name: &str) -> usize {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

#[test]
fn curl_and_our_own_commands_trust_a_certificate_of_the_operators_authority() {
    let world = with_certificate();
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command
            .current_dir(world.path(""))
            .args(["--silent", "--show-error"])
            .args(arguments);
        run(&mut command)
    };
    let answer = curl(&["--cacert", "ca.crt", world.endpoint()]).unwrap();
    assert!(answer.contains("AccessDenied"), "{answer}");
    let error = curl(&[world.endpoint()]).unwrap_err();
    assert!(format!("{error:#}").contains("certificate"), "{error:#}");
    let list = |authority: Option<&str>| {
        let mut command = world.command(&["stackgraph", "list"]);
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", world.path(authority));
        }
        command.output().unwrap()
    };
    let trusted = list(Some("ca.crt"));
    let told = String::from_utf8_lossy(&trusted.stderr);
    assert!(trusted.status.success(), "{told}");
    assert!(!list(None).status.success());
}

#[test]
fn boto3_finds_the_same_over_tls() {
    let interpreter = match python::interpreter() {
        Ok(interpreter) => interpreter,
        Err(error) => {
            lifeboat_testkit::skip!("no Python with boto3: {error:#}");
            return;
        }
    };
    let world = with_certificate();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/boto3_calls.py");
    let output = Command::new(interpreter)
        .arg(script)
        .env("S3_ENDPOINT", world.endpoint())
        .env("S3_BUCKET", BUCKET)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CA_BUNDLE", world.path("ca.crt"))
        .env("SSL_CERT_FILE", world.path("ca.crt"))
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("calls answered as documented"), "{stdout}");
}

#[test]
fn users_of_a_file_have_their_roles_and_a_broken_file_keeps_a_gateway_from_starting() {
    let world = world(|world| {
        let users = format!(
            "users:\n  - accessKey: reader\n    secretKeyFile: {}\n    grants: [{{role: read, buckets: [\"*\"]}}]\n",
            path(&world.path("secret"))
        );
        fs::write(world.path("users.yaml"), users).unwrap();
        fs::write(world.path("secret"), "readers-secret\n").unwrap();
        "usersFile: users.yaml".to_owned()
    });
    let as_reader = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command
            .env("LIFEBOAT_ACCESS_KEY", "reader")
            .env("LIFEBOAT_SECRET_KEY", "readers-secret");
        command.output().unwrap()
    };
    assert!(as_reader(&["stackgraph", "list"]).status.success());
    world.load_ring(3, "one");
    let backup = as_reader(&["stackgraph", "backup"]);
    let told = String::from_utf8_lossy(&backup.stderr);
    assert!(
        !backup.status.success() && told.contains("role `read`"),
        "{told}"
    );
    fs::write(
        world.path("users.yaml"),
        "users:\n  - {accessKey: reader}\n",
    )
    .unwrap();
    fs::create_dir(world.path("other")).unwrap();
    let seen = world.run(&["-q", "gateway", "--volume", "other"]);
    let told = "error: users.yaml:2:5: `users[0]` needs either `secretKey` or `secretKeyFile`\n";
    assert_eq!((seen.code, seen.stderr.as_str()), (2, told));
}

#[test]
fn a_second_signal_ends_a_gateway_that_waits_for_a_request() {
    let mut world = World::new();
    let runtime = runtime();
    let head = signed_put(&runtime, &client(&world), "slow", 4);
    let mut stream = TcpStream::connect(address(world.endpoint())).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    wait_for(&world, "/metrics", |metrics| {
        metrics.contains("gateway_requests_running 1\n")
    });
    let gateway = world.take_gateway();
    let signal = || {
        let pid = rustix::process::Pid::from_raw(i32::try_from(gateway.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    };
    signal();
    wait_for(&world, "/-/ready", |answer| {
        answer.ends_with("the gateway is ending\n")
    });
    assert!(
        !gateway.ends_within(Duration::from_millis(100)),
        "it did not wait"
    );
    signal();
    assert!(gateway.ends_within(Duration::from_secs(10)), "it waited on");
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    assert_eq!(answer, "");
}

#[test]
fn a_gateway_that_is_told_to_end_as_soon_as_it_listens_ends_well() {
    let mut world = World::new();
    drop(world.take_gateway());
    // It happened to more than half of them.
    for _ in 0..8 {
        let mut gateway = world.command(&["gateway"]);
        let mut gateway = gateway.stdout(Stdio::piped()).spawn().unwrap();
        // Kept until the end, so that it can go on talking.
        let mut said = BufReader::new(gateway.stdout.take().unwrap()).lines();
        let listens = said.any(|line| line.unwrap().starts_with("gateway listening on "));
        let pid = rustix::process::Pid::from_child(&gateway);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = gateway.wait().unwrap();
        assert!(listens && ended.success(), "{ended}");
    }
}

/// The most memory that a process ever had, in bytes.
fn peak(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

#[test]
fn two_hundred_uploads_at_once_stay_within_the_memory_they_are_given() {
    const CROWD: usize = 200;
    const LENGTH: usize = 2 * MIB;
    const BEGINNING: usize = LENGTH - 1000;
    let mut world = world(|_| "memory: 32Mi".to_owned());
    let runtime = runtime();
    let s3 = client(&world);
    let heads: Vec<_> = (0..CROWD)
        .map(|number| signed_put(&runtime, &s3, &format!("crowd/{number}"), LENGTH))
        .collect();
    let gateway = world.take_gateway();
    let before = peak(gateway.id());
    let endpoint = address(world.endpoint());
    // Every client sends nearly all and then waits, so that all are under way at once and each holds what it may.
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let clients: Vec<_> = heads
        .into_iter()
        .map(|head| {
            let wait = std::sync::Arc::clone(&wait);
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(endpoint).unwrap();
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&vec![b'x'; BEGINNING]).unwrap();
                // Ends when the sender is dropped.
                assert!(wait.lock().unwrap().recv().is_err());
                stream.write_all(&vec![b'x'; LENGTH - BEGINNING]).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            })
        })
        .collect();
    // Where the machine is slow, the first are told to come again before the last have come.
    wait_for(&world, "/metrics", |metrics| {
        let running = number(metrics, "lifeboat_gateway_requests_running");
        let refused = number(metrics, "lifeboat_gateway_memory_refused_total");
        let used = number(metrics, "lifeboat_gateway_memory_used_bytes");
        used > 30_000_000 && running + refused >= CROWD
    });
    drop(go);
    let mut stored = 0;
    for client in clients {
        let answer = client.join().unwrap();
        if answer.starts_with("HTTP/1.1 200") {
            stored += 1;
        } else {
            // Told to come again, and told whole.
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(
                answer.contains("<Code>SlowDown</Code>") && answer.ends_with("</Error>"),
                "{answer}"
            );
        }
    }
    let used = peak(gateway.id()) - before;
    // What is counted, twice for what the allocator keeps, and 128 KiB for each connection.
    assert!(used < 2 * 32 * MIB + CROWD * MIB / 8, "{} MiB", used / MIB);
    assert!(stored >= 32, "{stored}");
    let first = runtime.block_on(s3.head(&"crowd/0".into()));
    assert!(stored < CROWD || first.unwrap().size == u64::try_from(LENGTH).unwrap());
    gateway.stop().unwrap();
}
