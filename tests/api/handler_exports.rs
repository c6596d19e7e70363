//! A component is asked by `turnpike:http/plain` or by `wasi:http/handler`, and nobody can tell
//! by which.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use turnpike_host::{
    CapturedLog, HandlerExport, Host, HostOptions, InstanceReuse, LoadedApp, LogSink,
};
use turnpike_tests::environment::{project_root, test_component};
use turnpike_tests::host::block_on;
use turnpike_tests::personas::{CONSUME, LOGIN, REFRESH, TRANSACTIONS_EXPORT};
use turnpike_tests::wire::Wire;
use turnpike_tests::{Settings, TestHost, environment, run};

/// Bodies up to this length are handed over whole.
const WHOLE_BODY_BYTES: usize = 64 * 1024;

/// How long the log may take to have a line.
const LOG_PATIENCE: Duration = Duration::from_secs(60);

const EXPORTS: [HandlerExport; 2] = [HandlerExport::Plain, HandlerExport::WasiHttp];

#[test]
fn answers_are_the_same_by_both() {
    let settings = Settings::pooled().with_export(HandlerExport::Plain);
    run(settings, async |plain| {
        let (user, _) = plain.user_with("10.00").await;
        let settings = Settings::pooled()
            .with_export(HandlerExport::WasiHttp)
            .with_database_url(plain.database_url());
        let wasi = TestHost::start(settings).await;
        for request in requests(plain, &user.token) {
            // What writes is done now, and what can be cached is then in the cache of each: after
            // the third look-up of a scope that the cache has never heard of.
            for address in [plain.address(), wasi.address()].repeat(3) {
                exchange(address, &request).await;
            }
            let answers = [
                exchange(plain.address(), &request).await,
                exchange(wasi.address(), &request).await,
            ];
            let shown = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
            assert!(!answers[0].is_empty(), "it must be answered: {shown}");
            assert_eq!(answers[0], answers[1], "{shown}");
        }
        wasi.remove().await;
    });
}

/// Requests of all kinds: with and without a body, answered and refused, repeated, malformed.
fn requests(host: &TestHost, token: &str) -> Vec<Vec<u8>> {
    let bearer = format!("authorization: Bearer {token}\r\n");
    let cookie = format!("cookie: a=b; __Host-turnpike_access={token}\r\n");
    let refresh = "cookie: __Host-turnpike_refresh=tpr_nobodys\r\n";
    let json = "content-type: application/json\r\n";
    let spend = r#"{"amount":"1","currency":"USD"}"#;
    let key = "idempotency-key: both\r\n";
    let own = format!("origin: http://{}\r\n", host.address());
    let long = "a".repeat(WHOLE_BODY_BYTES);
    let longer = format!("{long}a");
    let body = |headers: &str, body: &str| {
        format!("{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    let spending = |headers: &str, text: &str| body(&format!("{bearer}{json}{headers}"), text);
    let none = |headers: &str| format!("{headers}\r\n");
    let chunked = |headers: &str, text: &str| {
        format!(
            "{headers}transfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
            text.len()
        )
    };
    let table = [
        ("GET", "/api/v1/health", none("")),
        ("GET", "/api/v1/health?a=b&a", none("")),
        ("HEAD", "/api/v1/health", none("")),
        ("OPTIONS", "/api/v1/health", none("")),
        ("BREW", "/api/v1/health", none("")),
        ("get", "/api/v1/health", none("")),
        ("POST", "/api/v1/health", body("", "{}")),
        ("GET", "/api/v1/nothing", none("")),
        ("GET", "/api/v1/%6eothing?%zz", none("")),
        ("GET", "/", none("")),
        ("GET", "/openapi.json", none("")),
        ("GET", "/api/v1/credits/balance", none("")),
        ("GET", "/api/v1/credits/balance", none(&bearer)),
        ("GET", "/api/v1/credits/balance", none(&bearer.repeat(2))),
        ("GET", "/api/v1/credits/balance", none(&cookie)),
        (
            "GET",
            "/api/v1/credits/balance",
            none("authorization: Bearer é\r\n"),
        ),
        ("GET", "/api/v1/credits/balance?currency=EUR", none(&bearer)),
        (
            "GET",
            "/api/v1/credits/balance?currency=EU&x",
            none(&bearer),
        ),
        ("GET", "/api/v1/credits/balance", body(&bearer, "unread")),
        ("GET", "/api/v1/credits/transactions?limit=1", none(&bearer)),
        ("GET", TRANSACTIONS_EXPORT, none(&bearer)),
        ("GET", "/api/v1/auth/me", none(&bearer)),
        ("POST", CONSUME, spending(key, spend)),
        ("POST", CONSUME, spending("", spend)),
        ("POST", CONSUME, spending(key, &format!("{spend} "))),
        ("POST", CONSUME, spending(key, "{")),
        ("POST", CONSUME, spending(key, "")),
        ("POST", CONSUME, spending(key, r#"{"amount":1,"x":2}"#)),
        ("POST", CONSUME, spending(key, &long)),
        ("POST", CONSUME, spending(key, &longer)),
        (
            "POST",
            CONSUME,
            spending(&format!("{key}content-encoding: gzip\r\n"), spend),
        ),
        (
            "POST",
            CONSUME,
            spending(&format!("{key}content-encoding: br\r\n"), spend),
        ),
        ("POST", CONSUME, body(&format!("{bearer}{key}"), spend)),
        (
            "POST",
            CONSUME,
            chunked(&format!("{bearer}{json}{key}"), spend),
        ),
        (
            "POST",
            CONSUME,
            chunked(&format!("{bearer}{json}{key}"), &longer),
        ),
        (
            "POST",
            CONSUME,
            body(&format!("{cookie}{json}{key}"), spend),
        ),
        (
            "POST",
            CONSUME,
            body(&format!("{cookie}{json}{key}{own}"), spend),
        ),
        (
            "POST",
            CONSUME,
            body(
                &format!("{cookie}{json}{key}origin: http://evil.example\r\n"),
                spend,
            ),
        ),
        ("POST", REFRESH, body(&format!("{refresh}{own}"), "")),
        (
            "POST",
            REFRESH,
            body(&format!("{refresh}{own}{json}"), "{}"),
        ),
        ("POST", LOGIN, body(json, r#"{"email":"a"}"#)),
    ];
    let table = table.into_iter().map(|(method, target, rest)| {
        let host = host.address();
        let head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-request-id: both\r\n");
        format!("{head}connection: close\r\n{rest}").into_bytes()
    });
    table.collect()
}

/// The answer as it came, without what differs between two that are the same.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut wire = Wire::connect(address).await;
    wire.write(request).await;
    let answer = wire.read_to_end().await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let differs = |line: &&str| {
        let headers = ["date: ", "x-response-time: ", "x-cache-hit-rate: "];
        headers.iter().any(|header| line.starts_with(header))
    };
    let lines = answer.split("\r\n").filter(|line| !differs(line));
    lines.collect::<Vec<_>>().join("\r\n")
}

/// Only what sends its body in pieces does without the export that costs less.
#[test]
fn all_components_but_streamed_ones_have_both() {
    assert_eq!(
        environment().app.without_plain_export(),
        ["accounts-export", "credits-transactions-export"].into()
    );
}

/// A host with one component, which says by which export it was asked.
struct TwoDoors {
    host: Host,
    log: CapturedLog,
}

impl TwoDoors {
    async fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await
    }

    async fn send(&self, request: &str) -> (u16, String) {
        let mut wire = Wire::connect(self.host.address()).await;
        wire.write(request).await;
        let response = wire.read().await.expect("the host answers");
        (response.status, response.body)
    }

    /// Waits until a line of the log has this in it.
    async fn logs(&self, part: &str) {
        let logged = async {
            while !self.log.lines().iter().any(|line| line.contains(part)) {
                tokio::task::yield_now().await;
            }
        };
        let logged = tokio::time::timeout(LOG_PATIENCE, logged).await;
        let lines = self.log.lines();
        assert!(logged.is_ok(), "the log must say {part:?}: {lines:?}");
    }
}

fn run_two_doors(export: HandlerExport, test: impl AsyncFnOnce(&TwoDoors)) {
    run_two_doors_with(export, InstanceReuse::default(), test);
}

fn run_two_doors_with(
    export: HandlerExport,
    reuse: InstanceReuse,
    test: impl AsyncFnOnce(&TwoDoors),
) {
    let wasm = test_component("two-doors");
    block_on(async {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("turnpike-doors-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let manifest = format!(
            "spin_manifest_version = 2\n[application]\nname = \"two-doors\"\n\
             [[trigger.http]]\nroute = \"/...\"\ncomponent = \"two-doors\"\n\
             [component.two-doors]\nsource = {wasm:?}\n"
        );
        std::fs::write(&path, manifest).expect("the temporary directory can be written");
        let cache = project_root().join(".turnpike").join("wasmtime-cache");
        let app = LoadedApp::load(&path, Some(&cache), |_, _, _| {}).await;
        std::fs::remove_file(&path).expect("the manifest was written");
        let (sink, log) = LogSink::capture();
        let options = HostOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            log: sink,
            export,
            reuse,
            ..HostOptions::default()
        };
        let host = Host::start(app.expect("the component can be loaded"), options).await;
        let doors = TwoDoors {
            host: host.expect("the host starts"),
            log,
        };
        test(&doors).await;
        doors.host.shutdown().await.expect("the host shuts down");
    });
}

#[test]
fn short_bodies_of_known_length_are_handed_over_whole() {
    let post = |framing: String, body: &str| {
        format!("POST /x HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}")
    };
    let sized = |length: usize| {
        let framing = format!("content-length: {length}");
        (post(framing, &"a".repeat(length)), length)
    };
    let chunked = post(
        "transfer-encoding: chunked".to_owned(),
        "2\r\nab\r\n0\r\n\r\n",
    );
    let table = [
        (
            ("GET /x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 0),
            "plain",
        ),
        (sized(0), "plain"),
        (sized(1), "plain"),
        (sized(WHOLE_BODY_BYTES), "plain"),
        (sized(WHOLE_BODY_BYTES + 1), "wasi-http"),
        (sized(1_000_000), "wasi-http"),
        ((chunked, 2), "wasi-http"),
    ];
    for export in EXPORTS {
        run_two_doors(export, async |doors| {
            for ((request, length), by) in &table {
                let by = match export {
                    HandlerExport::Plain => by,
                    HandlerExport::WasiHttp => "wasi-http",
                };
                let expected = (200, format!("[\"{by}\",{length}]"));
                let head = &request[..request.len().min(80)];
                assert_eq!(doors.send(request).await, expected, "{export:?}: {head:?}");
            }
        });
    }
}

#[test]
fn what_cannot_be_sent_is_a_failure_of_its_request_alone() {
    run_two_doors(HandlerExport::Plain, async |doors| {
        let table = [
            ("/status", "the status 99"),
            ("/length", "announced a body of"),
            ("/break", "the value of the header x-broken"),
            (
                "/framing",
                "transfer-encoding is not the component's to set",
            ),
            ("/trap", "as the path says"),
        ];
        for (path, reason) in table {
            assert_eq!(doors.get(path).await, (500, String::new()), "{path}");
            doors.logs(reason).await;
            assert_eq!(doors.get("/").await.0, 200, "after {path}");
        }
    });
}

/// An instance lives for as long as what it does after an answer.
#[test]
fn work_after_an_answer_is_finished() {
    // No further request keeps the instance.
    let once = InstanceReuse {
        max_requests: 1,
        ..InstanceReuse::default()
    };
    run_two_doors_with(HandlerExport::Plain, once, async |doors| {
        assert_eq!(doors.get("/later").await.0, 200);
        doors.logs("after the answer").await;
    });
}
