//! What an operator's monitoring reads: the metrics of a host, and those that the database keeps.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use futures::future::join_all;
use serde_json::json;
use turnpike_host::{LogSink, metrics};
use turnpike_tests::environment::project_root;
use turnpike_tests::host::{block_on, start_host};
use turnpike_tests::openmetrics::Exposition;
use turnpike_tests::personas::{BALANCE, CONSUME, TRANSACTIONS};
use turnpike_tests::wire::Wire;
use turnpike_tests::{Call, Settings, TestHost, environment, run};

/// Requests of each kind that are sent at once.
const OF_EACH_KIND: usize = 25;

/// The path of the metrics that the database keeps.
const METRICS: &str = "/metrics";

/// The time that requests take, by which they are counted.
const REQUESTS: &str = "http_request_duration_seconds_count";

/// Requests of several kinds, each with the component that answers it.
fn kinds(host: &TestHost, token: &str, consume: Call) -> Vec<(&'static str, Call)> {
    let wrong = json!({"amount": "-1", "currency": "USD"});
    vec![
        ("health", host.get("/api/v1/health")),
        ("health", host.post("/api/v1/health")),
        ("credits-balance", host.get(BALANCE).bearer(token)),
        ("credits-balance", host.get(BALANCE)),
        ("credits-transactions", host.get(TRANSACTIONS).bearer(token)),
        ("credits-consume", consume),
        (
            "credits-consume",
            host.post(CONSUME).bearer(token).json(&wrong),
        ),
        ("not-found", host.get("/api/v1/nothing")),
    ]
}

/// How often each thing was, by its name and labels.
type Tally = BTreeMap<(&'static str, Vec<(&'static str, String)>), u64>;

#[test]
fn counts_equal_those_of_the_clients() {
    run(Settings::pooled().observed(), async |host| {
        let (user, _) = host.user_with("1000").await;
        let consume = host.consume_call(&user, "1");
        let before = host.metrics().await;
        let kinds = kinds(host, &user.token, consume);
        let requests = kinds.iter().flat_map(|(component, call)| {
            (0..OF_EACH_KIND).map(move |_| async move { (*component, call.try_send().await) })
        });
        let mut expected = Tally::new();
        for (component, answer) in join_all(requests).await {
            let answer = answer.expect("the request is answered");
            let of_component = ("component", component.to_owned());
            let mut count = |name, more: &[(&'static str, &str)], number: u32| {
                let more = more
                    .iter()
                    .map(|(name, value)| (*name, (*value).to_owned()));
                let labels = std::iter::once(of_component.clone()).chain(more).collect();
                *expected.entry((name, labels)).or_default() += u64::from(number);
            };
            let status = answer.status.to_string();
            let by = [("method", answer.method.as_str()), ("status", &status)];
            count(REQUESTS, &by, 1);
            count(
                "turnpike_cache_results_total",
                &[("result", answer.cache())],
                1,
            );
            count("turnpike_request_statements_count", &[], 1);
            count("turnpike_request_statements_sum", &[], answer.db_queries());
        }
        let after = host.metrics().await;
        for ((name, labels), count) in &expected {
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            let counted = after.sum(name, &labels) - before.sum(name, &labels);
            assert_eq!(counted, *count, "{name} {labels:?}");
        }
        let counted = after.sum(REQUESTS, &[]) - before.sum(REQUESTS, &[]);
        assert_eq!(counted, (kinds.len() * OF_EACH_KIND) as u64, "of all kinds");
        assert_eq!(after.sum("turnpike_http_requests_in_flight", &[]), 0);
    });
}

#[test]
fn instances_and_the_store_are_counted() {
    run(Settings::fresh().observed(), async |host| {
        let user = host.new_user("user").await;
        for _ in 0..3 {
            host.balance_call(&user).send().await.expect(200);
        }
        let component = [("component", "credits-balance")];
        let used_up = [("component", "credits-balance"), ("reason", "used_up")];
        let ended = |metrics: &Exposition| metrics.sum("turnpike_instances_ended_total", &used_up);
        // The last instance is on its way out for a moment.
        let metrics = until_shown(host, |metrics| {
            ended(metrics) >= 3 && metrics.sum("turnpike_instances", &component) == 0
        });
        let metrics = metrics.await;
        let started = metrics.sum("turnpike_instances_started_total", &component);
        assert_eq!(started, ended(&metrics), "{}", metrics.text);
        let operations = "turnpike_key_value_operations_total";
        assert!(metrics.sum(operations, &[("operation", "get"), ("outcome", "ok")]) >= 3);
        assert_eq!(metrics.sum(operations, &[("outcome", "failed")]), 0);
        assert_eq!(metrics.sum("turnpike_postgres_up", &[]), 1);
        assert!(metrics.sum("turnpike_postgres_pool_max_connections", &[]) >= 1);
    });
}

/// Whatever clients make up, there are no more samples than before.
#[test]
fn clients_make_up_no_labels() {
    run(Settings::pooled().observed(), async |host| {
        let send = async |number: u32| {
            let mut wire = Wire::connect(host.address()).await;
            wire.write(format!(
                "BREW{number} /api/v1/pot{number} HTTP/1.1\r\nhost: h{number}\r\n\
                 x-request-id: id{number}\r\ntraceparent: {number}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
            wire.read().await.map(|answer| answer.status)
        };
        let first = send(0).await.expect("the host answers");
        let before = host.metrics().await;
        for number in 1..=20 {
            assert_eq!(send(number).await, Some(first));
        }
        let after = host.metrics().await;
        let status = first.to_string();
        let other = [
            ("component", "not-found"),
            ("method", "other"),
            ("status", &*status),
        ];
        assert_eq!(after.sum(REQUESTS, &other), 21);
        let count = |metrics: &Exposition| {
            let samples = metrics.samples.iter();
            // What the database keeps appears when it was handed over.
            samples
                .filter(|sample| !sample.name.contains("lookups"))
                .count()
        };
        assert_eq!(count(&after), count(&before), "{}", after.text);
    });
}

#[test]
fn metrics_are_shown_while_postgres_is_away() {
    block_on(async {
        let nowhere = "postgres://nobody:secret@127.0.0.1:9/none?sslmode=disable";
        let settings = Settings::pooled().observed();
        let (log, _) = LogSink::capture();
        let host = start_host(&environment().app, settings, nowhere, log).await;
        let host = host.expect("a host starts without its database");
        let address = host.metrics_address().expect("the host is observed");
        let metrics = Exposition::read_from(address).await;
        assert_eq!(metrics.sum("turnpike_postgres_up", &[]), 0);
        assert!(!metrics.names().contains("turnpike_outbox_messages"));
        assert!(metrics.names().contains("turnpike_instances_started_total"));
        let mut wire = Wire::connect(address).await;
        for (request, status) in [
            ("POST /metrics", 405),
            ("GET /", 404),
            ("GET /metrics/", 404),
        ] {
            wire.write(format!(
                "{request} HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
            let answer = wire.read().await.expect("the host answers");
            assert_eq!(answer.status, status, "{request}");
            assert!(!answer.body.contains("turnpike"), "{request}");
        }
        host.shutdown().await.expect("the host shuts down");
    });
}

/// The component shows the same as the host, which has the more to show.
#[test]
fn what_the_database_keeps_is_shown_by_both() {
    run(Settings::pooled().observed(), async |host| {
        let admin = host.platform_admin().await;
        host.signed_up_user("ada").await;
        host.execute(
            "INSERT INTO operation_counts (name, component, label, hour, count) VALUES
             ('cache_hits', 'made-up', 'token:{digest}', date_trunc('hour', now()), 7),
             ('cache_hits', 'made-up', 'token:{digest}', '-infinity', 30),
             ('cache_misses', 'made-up', 'token:{digest}', '-infinity', 5),
             ('cache_hits_late', 'made-up', 'token:{digest}', '-infinity', 1),
             ('usage_events', 'made-up', 'accepted', '-infinity', 9007199254740993),
             ('auth_operations_refused', 'made-up', 'auth-login', '-infinity', 2),
             ('of_no_metric', 'made-up', '', '-infinity', 1)",
        )
        .await;
        let answer = host
            .get(METRICS)
            .bearer(&admin.token)
            .send()
            .await
            .expect(200);
        assert_eq!(answer.db_queries(), 1, "{answer}");
        let text = String::from_utf8(answer.body.clone()).expect("the text is UTF-8");
        let kept = Exposition::parse(&text).unwrap_or_else(|reason| answer.fail(&reason));
        let shown = host.metrics().await;
        let waiting = host.query("SELECT count(*) FROM outbox_messages WHERE settled_at IS NULL");
        let waiting: i64 = waiting.await[0].get(0);
        assert!(waiting > 0, "who signed up is sent a mail");
        let made_up = ("component", "made-up");
        for (name, labels, value) in [
            ("turnpike_outbox_messages", vec![], waiting.unsigned_abs()),
            (
                "turnpike_cache_lookups_total",
                vec![made_up, ("namespace", "token"), ("result", "hit")],
                37,
            ),
            (
                "turnpike_cache_lookups_total",
                vec![made_up, ("result", "miss")],
                5,
            ),
            ("turnpike_cache_lookups_total", vec![made_up], 42),
            (
                "turnpike_usage_events_total",
                vec![made_up, ("outcome", "accepted")],
                9_007_199_254_740_993,
            ),
            (
                "turnpike_auth_operations_total",
                vec![made_up, ("operation", "auth-login"), ("outcome", "refused")],
                2,
            ),
        ] {
            assert_eq!(kept.sum(name, &labels), value, "{name} {labels:?}:\n{text}");
            assert_eq!(
                shown.sum(name, &labels),
                value,
                "{name} {labels:?} of the host"
            );
        }
        let connections = kept.sum("turnpike_postgres_connections", &[]);
        let max_connections = kept.sum("turnpike_postgres_max_connections", &[]);
        assert!((1..=max_connections).contains(&connections), "{text}");
        for (name, kind) in &kept.kinds {
            assert_eq!(shown.kinds.get(name), Some(kind), "{name} of the host");
        }
        for (name, kind) in &shown.kinds {
            let described = metrics::descriptions().find(|metric| metric.name == name);
            let described = described.map(|metric| metric.kind.as_str());
            assert_eq!(described, Some(&**kind), "{name} must be described");
        }
    });
}

/// Requests to auth and usage events are counted by the components, and handed over soon.
#[test]
fn components_count_what_they_do() {
    run(Settings::pooled().observed(), async |host| {
        let user = host.new_user("user").await;
        host.login_call(&user.email, "wrong password")
            .send()
            .await
            .expect(401);
        let events = json!([{"id": "a", "type": "call"}, {"id": "a", "type": "call"}, {"id": ""}]);
        let sent = crate::metering::send(host, &user.token, &events).await;
        assert_eq!(sent, [1, 1, 1]);
        let login = [("operation", "auth-login"), ("outcome", "refused")];
        let events = |outcome| [("component", "usage-events"), ("outcome", outcome)];
        let shown = until_shown(host, |metrics| {
            metrics.sum("turnpike_auth_operations_total", &login) > 0
                && metrics.sum("turnpike_usage_events_total", &[]) > 0
        });
        let shown = shown.await;
        assert_eq!(shown.sum("turnpike_auth_operations_total", &login), 1);
        for outcome in ["accepted", "duplicate", "rejected"] {
            let count = shown.sum("turnpike_usage_events_total", &events(outcome));
            assert_eq!(count, 1, "{outcome}");
        }
    });
}

/// The metrics once they show what they are waited for.
async fn until_shown(host: &TestHost, is_shown: impl Fn(&Exposition) -> bool) -> Exposition {
    for _ in 0..3_000 {
        let metrics = host.metrics().await;
        if is_shown(&metrics) {
            return metrics;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("it was never shown:\n{}", host.metrics().await.text);
}

/// Runs a program with a text for its input; what it printed, or `None` where there is no such
/// program or it lacks what it needs.
fn checked_by(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.ok()?;
    let mut input = child.stdin.take().expect("the input is piped");
    // A program that ends early closes it, and says why.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("the program ends");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if err.contains("ModuleNotFoundError") {
        return None;
    }
    assert!(
        output.status.success(),
        "{program} refuses the text:\n{out}{err}\n{text}"
    );
    Some(out.into_owned())
}

/// Prometheus' own parser for Python understands each sample as it is meant.
const PARSER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type, len(family.samples))
";

#[test]
fn parsers_of_others_understand_the_text() {
    run(Settings::pooled().observed(), async |host| {
        let (user, admin) = host.user_with("10").await;
        host.consume(&user, "1").await;
        host.balance_call(&user).send().await.expect(200);
        host.get(METRICS)
            .bearer(&admin.token)
            .send()
            .await
            .expect(200);
        let metrics = host.metrics().await;
        let Some(printed) = checked_by("python3", &["-c", PARSER], &metrics.text) else {
            println!(
                "NOT CHECKED by Prometheus' parser: there is no python3 with prometheus_client here \
                 (python3 -m pip install prometheus-client)"
            );
            return;
        };
        let expected: Vec<String> = metrics
            .kinds
            .iter()
            .map(|(name, kind)| {
                let of_metric = metrics.samples.iter().filter(|sample| {
                    let suffix = sample.name.strip_prefix(name.as_str());
                    suffix.is_some_and(|suffix| {
                        ["", "_total", "_bucket", "_count", "_sum"].contains(&suffix)
                    })
                });
                format!("{name} {kind} {}", of_metric.count())
            })
            .collect();
        let mut printed: Vec<&str> = printed.lines().collect();
        printed.sort_unstable();
        assert_eq!(printed, expected);
    });
}

#[test]
fn what_is_not_the_format_is_refused() {
    let begun = "# HELP a A.\n# TYPE a counter\n";
    let histogram = "# TYPE h histogram\n";
    for (text, is_right) in [
        ("# EOF\n".to_owned(), true),
        (String::new(), false),
        ("# EOF\n\n".to_owned(), false),
        (format!("{begun}a_total 1\n# EOF\n"), true),
        (
            format!("{begun}a_total{{b=\"c\",d=\"\"}} 1.5\n# EOF\n"),
            true,
        ),
        (format!("{begun}a 1\n# EOF\n"), false),
        (format!("{begun}b_total 1\n# EOF\n"), false),
        ("a_total 1\n# EOF\n".to_owned(), false),
        (format!("{begun}a_total one\n# EOF\n"), false),
        (format!("{begun}a_total 1\na_total 1\n# EOF\n"), false),
        (format!("{begun}a_total{{b=\"c\" 1\n# EOF\n"), false),
        (format!("{begun}a_total{{b=\"c\\d\"}} 1\n# EOF\n"), false),
        (
            format!("{begun}a_total 1\n{begun}a_total 2\n# EOF\n"),
            false,
        ),
        ("# TYPE a thing\n# EOF\n".to_owned(), false),
        (
            format!(
                "{histogram}h_bucket{{le=\"1.0\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\nh_count 2\nh_sum 3.5\n# EOF\n"
            ),
            true,
        ),
        (
            format!(
                "{histogram}h_bucket{{le=\"1.0\"}} 3\nh_bucket{{le=\"+Inf\"}} 2\nh_count 2\n# EOF\n"
            ),
            false,
        ),
        (
            format!("{histogram}h_bucket{{le=\"+Inf\"}} 2\nh_count 3\n# EOF\n"),
            false,
        ),
    ] {
        let read = Exposition::parse(&text).map(drop);
        assert_eq!(read.is_ok(), is_right, "{text:?}: {read:?}");
    }
}

#[test]
fn every_metric_is_documented() {
    let path = project_root().join("docs").join("operations.md");
    let text = std::fs::read_to_string(path).expect("the document can be read");
    for metric in metrics::descriptions() {
        let row = text
            .lines()
            .find(|line| line.contains(&format!("`{}", metric.name)));
        let row = row.unwrap_or_else(|| panic!("docs/operations.md must have {}", metric.name));
        let kind = metric.kind.as_str();
        assert!(
            row.contains(kind),
            "{}: it is a {kind}:\n{row}",
            metric.name
        );
    }
}
