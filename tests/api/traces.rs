//! Spans of requests, components and statements, as a collector receives them.

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use turnpike_host::HandlerExport;
use turnpike_tests::personas::TRANSACTIONS;
use turnpike_tests::{Call, Settings, TestHost, run};

/// What a client says that its request is part of.
const PARENT: &str = "00f067aa0ba902b7";

/// Requests that one instance works on at once.
const AT_ONCE: usize = 16;

/// A collector of the test's own, with the spans that it has received.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Value>>>);

impl Collector {
    fn spans(&self) -> Vec<Value> {
        self.0.lock().expect("nobody panics with it").clone()
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let collector = self.clone();
            tokio::spawn(async move { collector.take(stream).await });
        }
    }

    async fn take(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let (head, document) = loop {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Ok(document) = serde_json::from_str::<Value>(body)
            {
                break (head.to_ascii_lowercase(), document);
            }
        };
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let resource = &document["resourceSpans"][0];
        let name = &resource["resource"]["attributes"][0];
        assert_eq!(
            name,
            &json!({"key": "service.name", "value": {"stringValue": "turnpike"}})
        );
        let spans = resource["scopeSpans"][0]["spans"].as_array().cloned();
        if let Ok(mut received) = self.0.lock() {
            received.extend(spans.unwrap_or_default());
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.ok()
    }

    /// The spans once there are so many of requests.
    async fn until_requests(&self, count: usize) -> Vec<Value> {
        for _ in 0..3_000 {
            let spans = self.spans();
            if spans.iter().filter(|span| span["kind"] == 2).count() >= count {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the collector got too few spans: {:?}", self.spans());
    }
}

/// Runs a test on a host that sends its spans to a collector of the test's own.
fn run_traced(export: HandlerExport, test: impl AsyncFnOnce(&TestHost, &Collector)) {
    let listener = StdListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let nonblocking = listener.set_nonblocking(true);
    nonblocking.expect("a socket can be made non-blocking");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let settings = Settings::pooled()
        .with_export(export)
        .with_collector(format!("http://{address}"));
    run(settings, async |host| {
        let listener = TcpListener::from_std(listener).expect("the socket fits the runtime");
        let collector = Collector::default();
        let serving = tokio::spawn(collector.clone().serve(listener));
        test(host, &collector).await;
        serving.abort();
    });
}

/// The call as a part of the trace with this number.
fn part_of(call: Call, number: usize) -> Call {
    call.header(
        "traceparent",
        format!("00-{}-{PARENT}-01", trace_id(number)),
    )
}

fn trace_id(number: usize) -> String {
    format!("{:032x}", number + 1)
}

/// The spans of each trace, by its id.
fn by_trace(spans: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let mut traces = BTreeMap::<_, Vec<_>>::new();
    for span in spans {
        let id = span["traceId"].as_str().unwrap_or_default().to_owned();
        traces.entry(id).or_default().push(span);
    }
    traces
}

/// An attribute of a span, without its type.
fn attribute<'a>(span: &'a Value, name: &str) -> Option<&'a str> {
    let attributes = span["attributes"].as_array()?;
    let attribute = attributes.iter().find(|one| one["key"] == name)?;
    attribute["value"].as_object()?.values().next()?.as_str()
}

fn of_kind(spans: &[Value], kind: u64) -> &Value {
    let mut found = spans.iter().filter(|span| span["kind"] == kind);
    match (found.next(), found.next()) {
        (Some(span), None) => span,
        _ => panic!("there must be one span of the kind {kind}: {spans:#?}"),
    }
}

/// Requests that one instance answers side by side have each their own spans, and each statement
/// is part of the request that it is for.
async fn each_statement_is_part_of_its_request(host: &TestHost, collector: &Collector) {
    let users = join_all((0..AT_ONCE).map(|_| host.new_user("user"))).await;
    let calls = users.iter().enumerate().map(|(number, user)| {
        let list = host.get(TRANSACTIONS).bearer(&user.token);
        part_of(list, number)
    });
    let calls: Vec<_> = calls.collect();
    let answers = join_all(calls.iter().map(Call::try_send)).await;
    let traces = by_trace(collector.until_requests(AT_ONCE).await);
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.expect("the request is answered").expect(200);
        let spans = &traces[&trace_id(number)];
        let (request, component, statement) =
            (of_kind(spans, 2), of_kind(spans, 1), of_kind(spans, 3));
        assert_eq!(request["parentSpanId"], PARENT);
        assert_eq!(component["parentSpanId"], request["spanId"]);
        assert_eq!(statement["parentSpanId"], component["spanId"]);
        assert_eq!(request["name"], format!("GET {TRANSACTIONS}"));
        assert_eq!(component["name"], "credits-transactions");
        let name = statement["name"].as_str().unwrap_or_default();
        assert!(name.starts_with("SELECT "), "{statement}");
        for (name, expected) in [
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("http.route", TRANSACTIONS),
            ("turnpike.component", "credits-transactions"),
            (
                "turnpike.request_id",
                answer.header("x-request-id").unwrap_or_default(),
            ),
        ] {
            assert_eq!(
                attribute(request, name),
                Some(expected),
                "{name} of {request}"
            );
        }
        let nanos = |span: &Value, name: &str| {
            let text = span[name].as_str().unwrap_or_default();
            text.parse::<u64>().expect("a time is a whole number")
        };
        for (outer, inner) in [(request, component), (component, statement)] {
            let began = nanos(outer, "startTimeUnixNano") <= nanos(inner, "startTimeUnixNano");
            let ended = nanos(inner, "endTimeUnixNano") <= nanos(outer, "endTimeUnixNano");
            assert!(began && ended, "{inner} is within {outer}");
        }
        // What the client sent with the request is in none of them.
        let token = &users[number].token;
        assert!(spans.iter().all(|span| !span.to_string().contains(token)));
    }
}

#[test]
fn statements_are_part_of_requests_by_plain() {
    run_traced(HandlerExport::Plain, each_statement_is_part_of_its_request);
}

#[test]
fn statements_are_part_of_requests_by_wasi_http() {
    run_traced(
        HandlerExport::WasiHttp,
        each_statement_is_part_of_its_request,
    );
}

/// Who began a trace decides whether it is recorded, and a request without one begins its own.
#[test]
fn traces_begin_and_are_left_out() {
    run_traced(HandlerExport::Plain, async |host, collector| {
        let unrecorded = format!("00-{}-{PARENT}-00", trace_id(7));
        let health = host.get("/api/v1/health");
        health
            .clone()
            .header("traceparent", unrecorded)
            .send()
            .await
            .expect(200);
        health
            .clone()
            .header("traceparent", "nonsense")
            .send()
            .await
            .expect(200);
        host.get("/api/v1/nothing").send().await.expect(404);
        host.post("/api/v1/auth/login")
            .json_text("{")
            .send()
            .await
            .expect(400);
        let spans = collector.until_requests(3).await;
        assert!(
            spans.iter().all(|span| span["traceId"] != trace_id(7)),
            "{spans:?}"
        );
        let requests = spans.iter().filter(|span| span["kind"] == 2);
        let names: Vec<_> = requests
            .inspect(|span| assert!(span.get("parentSpanId").is_none(), "{span}"))
            .filter_map(|span| span["name"].as_str())
            .collect();
        for name in [
            "GET /api/v1/health",
            "GET /api/...",
            "POST /api/v1/auth/login",
        ] {
            assert_eq!(
                names.iter().filter(|one| **one == name).count(),
                1,
                "{names:?}"
            );
        }
    });
}
