//! The rules and dashboards of `deploy/` ask for metrics that there are.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use turnpike_host::metrics;
use turnpike_tests::environment::project_root;

/// What Prometheus itself adds.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// Labels of the metrics, and those that Prometheus adds.
const LABELS: [&str; 14] = [
    "component",
    "method",
    "status",
    "le",
    "result",
    "namespace",
    "pattern",
    "operation",
    "outcome",
    "state",
    "source",
    "reason",
    "instance",
    "job",
];

/// Words of a query that are no names.
const WORDS: [&str; 12] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "offset",
    "bool",
    "inf",
];

/// What a query names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Named {
    /// What an expression of Prometheus' query language names. Functions are what is called, and
    /// labels are what stands in braces or in a list after a word such as `by`.
    fn by(expression: &str) -> Self {
        let mut named = Self::default();
        let mut rest = expression;
        let mut in_braces = false;
        let mut in_label_list = false;
        let mut last_word = "";
        while let Some(character) = rest.chars().next() {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            match character {
                '"' => {
                    let end = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
                    rest = &rest[end..];
                    continue;
                }
                '[' => {
                    let end = rest.find(']').map_or(rest.len(), |end| end + 1);
                    rest = &rest[end..];
                    continue;
                }
                '{' => in_braces = true,
                '}' => in_braces = false,
                '(' => {
                    const BEFORE_LABELS: [&str; 6] = [
                        "by",
                        "without",
                        "on",
                        "ignoring",
                        "group_left",
                        "group_right",
                    ];
                    in_label_list = BEFORE_LABELS.contains(&last_word);
                }
                ')' => in_label_list = false,
                c if is_name(c) => {
                    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(end);
                    rest = after;
                    last_word = word;
                    let is_number = c.is_ascii_digit();
                    let next = after.trim_start();
                    // Labels to keep may stand before what is added up: sum by (a) (b).
                    let is_called = !WORDS.contains(&word)
                        && ["(", "by (", "without ("]
                            .iter()
                            .any(|end| next.starts_with(end));
                    if in_braces || in_label_list {
                        named.labels.insert(word.to_owned());
                    } else if !is_number && !is_called && !WORDS.contains(&word) {
                        named.metrics.insert(word.to_owned());
                    }
                    continue;
                }
                c if c.is_whitespace() => {}
                _ => last_word = "",
            }
            rest = &rest[character.len_utf8()..];
        }
        named
    }
}

#[test]
fn names_are_found_in_queries() {
    for (expression, metrics, labels) in [
        ("a", vec!["a"], vec![]),
        (
            "sum(rate(a_total{b=\"c\", d!~\"e\"}[5m])) > 0.5",
            vec!["a_total"],
            vec!["b", "d"],
        ),
        (
            "sum by (le, x) (a) / on (y) b:c:d offset 1d",
            vec!["a", "b:c:d"],
            vec!["le", "x", "y"],
        ),
        (
            "histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m])))",
            vec!["a_bucket"],
            vec!["le"],
        ),
        ("a * 1024 and on () b > 1", vec!["a", "b"], vec![]),
        ("topk(10, a) unless b", vec!["a", "b"], vec![]),
    ] {
        let named = Named::by(expression);
        let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let (metrics, labels) = (texts(metrics), texts(labels));
        assert_eq!(named, Named { metrics, labels }, "{expression}");
    }
}

fn deploy(path: &str) -> PathBuf {
    project_root().join("deploy").join(path)
}

/// The rules, as Prometheus reads them.
fn rules() -> Vec<Value> {
    let text = std::fs::read_to_string(deploy("prometheus/rules.yml")).expect("there are rules");
    let document: Value = serde_saphyr::from_str(&text).expect("the rules are YAML");
    let groups = document["groups"]
        .as_array()
        .expect("the rules have groups");
    let rules = groups.iter().flat_map(|group| group["rules"].as_array());
    rules.flatten().cloned().collect()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    let text = value[member].as_str().unwrap_or_default();
    assert!(!text.is_empty(), "{member} is missing in {value}");
    text
}

/// Fails unless everything that a query names is there.
fn check(place: &str, expression: &str, recorded: &BTreeSet<String>) {
    let named = Named::by(expression);
    assert!(
        !named.metrics.is_empty(),
        "{place} asks for nothing: {expression}"
    );
    for name in &named.metrics {
        let is_shown = metrics::descriptions().any(|metric| {
            let suffix = name.strip_prefix(metric.name);
            suffix.is_some_and(|suffix| metric.kind.sample_suffixes().contains(&suffix))
        });
        assert!(
            is_shown || recorded.contains(name) || OF_PROMETHEUS.contains(&name.as_str()),
            "{place} asks for {name}, which no host shows: {expression}"
        );
    }
    for label in &named.labels {
        assert!(
            LABELS.contains(&label.as_str()),
            "{place} asks for the label {label}, which no metric has: {expression}"
        );
    }
}

fn recorded() -> BTreeSet<String> {
    let rules = rules();
    let names = rules.iter().filter_map(|rule| rule["record"].as_str());
    names.map(str::to_owned).collect()
}

#[test]
fn rules_ask_for_metrics_that_there_are() {
    let recorded = recorded();
    let mut alerts = BTreeSet::new();
    for rule in rules() {
        let expression = text(&rule, "expr");
        if rule.get("record").is_some() {
            check(text(&rule, "record"), expression, &recorded);
            continue;
        }
        let alert = text(&rule, "alert");
        check(alert, expression, &recorded);
        assert!(alerts.insert(alert.to_owned()), "{alert} is there twice");
        let severity = text(&rule["labels"], "severity");
        assert!(
            ["warning", "critical"].contains(&severity),
            "{alert}: {severity}"
        );
        text(&rule["annotations"], "summary");
        text(&rule["annotations"], "description");
    }
    for alert in [
        "TurnpikeCacheHitRateLow",
        "TurnpikeLatencyHigh",
        "TurnpikeErrorsHigh",
        "TurnpikeConnectionsHigh",
        "TurnpikeThroughputLow",
        "TurnpikeOutboxBacklog",
    ] {
        assert!(alerts.contains(alert), "there must be a rule {alert}");
    }
}

#[test]
fn dashboards_ask_for_metrics_that_there_are() {
    let recorded = recorded();
    let mut ids = BTreeSet::new();
    for name in ["overview", "database", "cache", "api", "auth", "money"] {
        let path = deploy("grafana").join(format!("{name}.json"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}.json: {error}"));
        let dashboard: Value = serde_json::from_slice(&bytes).expect("a dashboard is JSON");
        assert!(
            ids.insert(text(&dashboard, "uid").to_owned()),
            "{name} has another's uid"
        );
        text(&dashboard, "title");
        let panels = dashboard["panels"]
            .as_array()
            .expect("a dashboard has panels");
        assert!(!panels.is_empty(), "{name} is empty");
        let mut numbers = BTreeSet::new();
        for panel in panels {
            let title = text(panel, "title");
            let place = format!("{title:?} of {name}.json");
            assert!(
                numbers.insert(panel["id"].as_u64()),
                "{place} has another's id"
            );
            text(panel, "description");
            let targets = panel["targets"].as_array().expect("a panel has targets");
            assert!(!targets.is_empty(), "{place} shows nothing");
            for target in targets {
                assert_eq!(target["datasource"]["uid"], "prometheus", "{place}");
                check(&place, text(target, "expr"), &recorded);
            }
        }
    }
}

/// Prometheus itself reads the rules, and its tests of them pass.
#[test]
fn promtool_accepts_the_rules() {
    for (words, file) in [
        (["check", "rules"], "rules.yml"),
        (["test", "rules"], "rules_test.yml"),
    ] {
        let output = Command::new("promtool")
            .args(words)
            .arg(deploy("prometheus").join(file))
            .output();
        let Ok(output) = output else {
            println!(
                "NOT CHECKED by promtool, which is not here (Debian: apt-get install prometheus)"
            );
            return;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{file}:\n{out}{err}");
    }
}
