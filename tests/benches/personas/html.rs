//! The figures of a run as a page that needs nothing else: tables, and drawings over time.

use std::fmt::Write;

use crate::load::comparison::Comparison;
use crate::load::drawing::{Line, escaped, lines_over_time};
use crate::load::figures::{grouped, millis};

use super::report::{Report, Second, Totals};

/// The colours of lines, which are told apart by those too who do not see red or green.
const GREEN: &str = "#1b7837";
const BLUE: &str = "#2166ac";
const RED: &str = "#b2182b";
const GREY: &str = "#888888";

const STYLE: &str = "body{font-family:sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .75em;text-align:right;\
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
.failed{color:#b2182b;font-weight:bold}svg{width:100%;height:auto}";

/// Writes the page.
pub fn page(report: &Report, comparison: Option<&Comparison>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut text, report, comparison);
    text
}

fn write_page(
    out: &mut String,
    report: &Report,
    comparison: Option<&Comparison>,
) -> std::fmt::Result {
    let kind = escaped(&report.kind);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Load: {kind}</title>\
         <style>{STYLE}</style></head><body>\n<h1>Load: {kind}</h1>"
    )?;
    writeln!(
        out,
        "<p><code>{}</code><br>{}<br>{}: up to {} users with pauses of {} to {} ms, {:.0} s measured.</p>",
        escaped(&report.command),
        escaped(&report.machine.to_line()),
        escaped(&report.server),
        report.users,
        report.pause_ms[0],
        report.pause_ms[1],
        report.measured_secs
    )?;
    write_verdicts(out, report)?;
    writeln!(out, "<p>Bottleneck: {}</p>", escaped(&report.bottleneck))?;
    write_drawings(out, &report.seconds)?;
    write_steps(out, report)?;
    if let Some(comparison) = comparison {
        writeln!(out, "<h2>Against the baseline</h2>\n<ul>")?;
        for regression in &comparison.regressions {
            writeln!(out, "<li class=\"failed\">{}</li>", escaped(regression))?;
        }
        for note in &comparison.notes {
            writeln!(out, "<li>{}</li>", escaped(note))?;
        }
        writeln!(out, "</ul>")?;
    }
    if !report.first_errors.is_empty() {
        writeln!(out, "<h2>What went wrong first</h2>\n<ul>")?;
        for error in &report.first_errors {
            writeln!(out, "<li><code>{}</code></li>", escaped(error))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</body></html>")
}

fn write_verdicts(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "<table><tr><th>threshold</th><th>measured</th><th></th></tr>"
    )?;
    let mut row = |what: &str, measured: &str, is_met: bool| {
        let (class, mark) = if is_met {
            ("", "met")
        } else {
            ("failed", "not met")
        };
        writeln!(
            out,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{mark}</td></tr>",
            escaped(what),
            escaped(measured)
        )
    };
    for verdict in &report.thresholds {
        row(&verdict.threshold, &verdict.measured, verdict.is_met)?;
    }
    if let Some(ledger) = report.ledger {
        let measured = format!(
            "{} found, {} acknowledged, {} unknown",
            ledger.found, ledger.acknowledged, ledger.unknown
        );
        row(
            "each acknowledged spend is there once",
            &measured,
            ledger.is_right(),
        )?;
    }
    writeln!(out, "</table>")
}

fn write_steps(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "<h2>Steps</h2>\n<table><tr><th>step</th><th>requests</th><th>req/s</th><th>p50, ms</th>\
         <th>p95</th><th>p99</th><th>max</th><th>hits</th><th>errors</th></tr>"
    )?;
    let steps = report.steps.iter();
    let rows = steps.map(|step| (step.step.as_str(), &step.totals));
    for (name, totals) in rows.chain([("all", &report.totals)]) {
        let Totals {
            p50_micros,
            p95_micros,
            p99_micros,
            max_micros,
            ..
        } = *totals;
        let hits = totals.hits_percent();
        write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td>",
            escaped(name),
            grouped(totals.requests as f64),
            grouped(totals.requests_per_sec)
        )?;
        for micros in [p50_micros, p95_micros, p99_micros, max_micros] {
            write!(out, "<td>{}</td>", millis(micros))?;
        }
        writeln!(
            out,
            "<td>{}</td><td>{}</td></tr>",
            hits.map_or_else(String::new, |hits| format!("{hits:.1}%")),
            totals.errors
        )?;
    }
    writeln!(out, "</table>")
}

fn write_drawings(out: &mut String, seconds: &[Second]) -> std::fmt::Result {
    let moments: Vec<f64> = seconds.iter().map(|second| second.at_secs).collect();
    let line = |name, colour, of: &dyn Fn(&Second) -> Option<f64>| Line {
        name,
        colour,
        values: seconds.iter().map(of).collect(),
    };
    let in_millis = |micros: Option<u64>| micros.map(|micros| micros as f64 / 1_000.0);
    let drawings = [
        (
            "Latency",
            "milliseconds",
            vec![
                line("p50", GREEN, &|second| in_millis(second.p50_micros)),
                line("p95", BLUE, &|second| in_millis(second.p95_micros)),
                line("p99", RED, &|second| in_millis(second.p99_micros)),
            ],
        ),
        (
            "Throughput",
            "a second",
            vec![
                line("answers", BLUE, &|second| Some(second.requests_per_sec)),
                line("failures", RED, &|second| Some(second.errors as f64)),
            ],
        ),
        (
            "Users",
            "at a time",
            vec![line("users", GREY, &|second| Some(second.users as f64))],
        ),
        (
            "Processor",
            "cores",
            vec![
                line("hosts", BLUE, &|second| second.host_cores),
                line("Postgres", GREEN, &|second| second.postgres_cores),
                line("load", GREY, &|second| Some(second.generator_cores)),
            ],
        ),
        (
            "Sessions of Postgres",
            "at a time",
            vec![
                line("all", GREY, &|second| second.sessions.map(f64::from)),
                line("active", BLUE, &|second| {
                    second.active_sessions.map(f64::from)
                }),
                line("locked", RED, &|second| {
                    second.locked_sessions.map(f64::from)
                }),
            ],
        ),
        (
            "Memory of the hosts",
            "MB",
            vec![line("resident", BLUE, &|second| {
                second.host_resident_bytes.map(|bytes| bytes as f64 / 1e6)
            })],
        ),
    ];
    for (title, unit, lines) in drawings {
        out.write_str(&lines_over_time(title, unit, &moments, &lines))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn the_page_has_every_part() {
        let mut report = report();
        report.first_errors = vec!["log in: answered <500>".to_owned()];
        let comparison = Comparison {
            regressions: vec!["all: p95 90 ms, was 10".to_owned()],
            notes: vec!["log in is as it was".to_owned()],
        };
        let text = page(&report, Some(&comparison));
        for part in [
            "<title>Load: smoke</title>",
            "<td>log in</td>",
            "<tr class=\"\"><td>p95 at most 100 ms</td><td>90.0 ms</td><td>met</td></tr>",
            "<li class=\"failed\">all: p95 90 ms, was 10</li>",
            "answered &lt;500&gt;",
            "Bottleneck: nothing of the machine",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        assert_eq!(text.matches("<svg").count(), 6, "{text}");
        for tag in ["table", "tr", "td", "svg", "ul", "li", "body", "html"] {
            let opened = text.matches(&format!("<{tag}>")).count()
                + text.matches(&format!("<{tag} ")).count();
            let closed = text.matches(&format!("</{tag}>")).count();
            assert_eq!(opened, closed, "<{tag}> in\n{text}");
        }
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
