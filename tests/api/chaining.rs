//! Components that call each other inside of the host, `http://<id>.spin.internal`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use turnpike_host::{CapturedLog, Host, HostOptions, InstanceReuse, LoadedApp, LogSink};
use turnpike_tests::environment::{project_root, test_component};
use turnpike_tests::wire::Wire;

/// Requests at once: far more than components may compute at once.
const CALLERS: usize = 200;

/// More than the 450 instances that components may have which call others.
const MANY_CALLERS: usize = 480;

/// How long the slowest answer may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a call waits for its turn: for as long as hundreds of them take on a busy machine, or
/// so shortly that a circle, which has its 450 instances after a second, ends soon.
const LONG_TURN: Duration = Duration::from_secs(100);
const SHORT_TURN: Duration = Duration::from_secs(2);

/// Instances are used as they are under `spin up`, or once each.
const POOLED: InstanceReuse = InstanceReuse {
    max_requests: 128,
    max_concurrent: 16,
    idle_timeout: Duration::from_secs(1),
};
const FRESH: InstanceReuse = InstanceReuse {
    max_requests: 1,
    max_concurrent: 1,
    idle_timeout: Duration::from_secs(1),
};

struct Relays {
    host: Host,
    log: CapturedLog,
}

impl Relays {
    /// `relay` may call every component, `hidden` has no route, and `alone` may call none.
    async fn start(wasm: PathBuf, reuse: InstanceReuse, turn: Duration) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("turnpike-relays-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let manifest = format!(
            "spin_manifest_version = 2\n[application]\nname = \"relays\"\n\
             [[trigger.http]]\nroute = \"/...\"\ncomponent = \"relay\"\n\
             [component.relay]\nsource = {wasm:?}\n\
             allowed_outbound_hosts = [\"http://*.spin.internal\"]\n\
             [[trigger.http]]\nroute = {{ private = true }}\ncomponent = \"hidden\"\n\
             [component.hidden]\nsource = {wasm:?}\n\
             allowed_outbound_hosts = [\"http://relay.spin.internal\", \"http://alone.spin.internal\"]\n\
             [[trigger.http]]\nroute = \"/alone/...\"\ncomponent = \"alone\"\n\
             [component.alone]\nsource = {wasm:?}\n"
        );
        std::fs::write(&path, manifest).expect("the temporary directory can be written");
        let cache = project_root().join(".turnpike").join("wasmtime-cache");
        let app = LoadedApp::load(&path, Some(&cache), |_, _, _| {})
            .await
            .expect("the relays can be loaded");
        std::fs::remove_file(&path).expect("the manifest was written");
        let (sink, log) = LogSink::capture();
        let options = HostOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            reuse,
            log: sink,
            chaining_patience: turn,
            ..HostOptions::default()
        };
        let host = Host::start(app, options)
            .await
            .expect("the relays' host starts");
        Self { host, log }
    }

    async fn get(&self, path: &str) -> Value {
        let mut wire = Wire::connect(self.host.address()).await;
        wire.write(format!(
            "GET {path} HTTP/1.1\r\nhost: public.example\r\n\r\n"
        ))
        .await;
        let response = wire.read_within(PATIENCE).await;
        let response = response.expect("the host answers");
        assert_eq!(response.status, 200, "{path}: {response:?}");
        serde_json::from_str(&response.body).expect("a relay answers in JSON")
    }
}

fn run(reuse: InstanceReuse, test: impl AsyncFnOnce(&Relays)) {
    run_with_turn(reuse, LONG_TURN, test);
}

fn run_with_turn(reuse: InstanceReuse, turn: Duration, test: impl AsyncFnOnce(&Relays)) {
    let wasm = test_component("relay");
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let relays = Relays::start(wasm, reuse, turn).await;
        test(&relays).await;
        relays.host.shutdown().await.expect("the host shuts down");
    });
}

/// The text of an answer that an answer quotes.
fn quoted(answer: &Value) -> Value {
    let body = answer["body"].as_str().unwrap_or_default();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer} must quote an answer"))
}

#[test]
fn a_component_answers_another() {
    for reuse in [POOLED, FRESH] {
        run(reuse, async |relays| {
            for component in ["relay", "hidden", "alone"] {
                let answer = relays.get(&format!("/call/{component}/request")).await;
                assert_eq!(answer["status"], 200, "{component}: {answer}");
                assert_eq!(
                    quoted(&answer),
                    json!({
                        "host": null,
                        "spin-client-addr": "0.0.0.0:0",
                        "spin-component-route": "",
                        "spin-full-url": "http://localhost/request",
                        "spin-matched-route": "/...",
                        "spin-path-info": "/request",
                    }),
                    "{component}"
                );
            }
            let answer = relays
                .get("/call/hidden/call/relay/call/hidden/request")
                .await;
            assert_eq!(
                quoted(&quoted(&quoted(&answer)))["spin-path-info"],
                "/request"
            );
            let answer = relays.get("/call/hidden/no-such-path").await;
            assert_eq!(answer["status"], 404);
        });
    }
}

#[test]
fn what_goes_wrong_is_the_callers_to_answer() {
    run(POOLED, async |relays| {
        let trapped = relays.get("/call/hidden/trap").await;
        assert_eq!(trapped, json!({ "status": 500, "body": "" }));
        // The instance is seen to have failed after its caller is answered.
        let began = Instant::now();
        for part in ["[hidden] the instance failed", "as the path says"] {
            while !relays.log.lines().iter().any(|line| line.contains(part)) {
                assert!(
                    began.elapsed() < PATIENCE,
                    "the log must say {part:?}: {:?}",
                    relays.log.lines()
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }

        let absent = relays.get("/call/nobody/request").await;
        assert_eq!(absent, json!({ "error": "ErrorCode::DestinationNotFound" }));
        for (path, denied) in [
            ("/call/hidden/call/hidden/request", "hidden.spin.internal"),
            ("/call/alone/call/relay/request", "relay.spin.internal"),
        ] {
            assert_eq!(
                quoted(&relays.get(path).await),
                json!({ "error": "ErrorCode::HttpRequestDenied" }),
                "{path}"
            );
            let log = relays.log.lines();
            assert!(
                log.iter()
                    .any(|line| line.contains(&format!("a request to {denied} was denied"))),
                "{path}: {log:?}"
            );
        }
        let answer = relays.get("/call/hidden/request").await;
        assert_eq!(answer["status"], 200, "the component is there again");
    });
}

/// With an instance for each request the callers alone would take all the places there are.
#[test]
fn many_chains_at_once_all_end() {
    for (reuse, path) in [
        (POOLED, "/call/hidden/call/relay/call/alone/request"),
        (FRESH, "/call/hidden/call/alone/request"),
    ] {
        run(reuse, async |relays| {
            for answer in join_all((0..CALLERS).map(|_| relays.get(path))).await {
                let mut last = quoted(&answer);
                while last.get("body").is_some() {
                    last = quoted(&last);
                }
                assert_eq!(last["spin-client-addr"], "0.0.0.0:0", "{answer}");
            }
        });
    }
}

#[test]
fn more_callers_than_places_for_them_wait_their_turn() {
    run(FRESH, async |relays| {
        let path = "/call/alone/request";
        let answers = join_all((0..MANY_CALLERS).map(|_| relays.get(path))).await;
        let failed = answers.iter().find(|answer| answer["status"] != 200);
        assert_eq!(failed, None, "{:?}", relays.log.lines());
    });
}

/// With an instance for each request a circle takes all places that callers may have, and then
/// ends with an error.
#[test]
fn a_circle_of_calls_ends() {
    run_with_turn(FRESH, SHORT_TURN, async |relays| {
        let answer = relays.get("/ring").await;
        assert_eq!(answer, 200, "the first call was answered");
        let log = relays.log.lines();
        assert!(
            log.iter()
                .any(|line| line.contains("does a component call itself")),
            "the log must say why: {log:?}"
        );
        assert_eq!(relays.get("/call/hidden/request").await["status"], 200);
    });
}
