//! The figures of a run: as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::comparison::Compared;
use crate::load::figures::{Figures, grouped, millis};
use crate::load::machine::Machine;
use crate::load::table::Table;

use super::bottleneck::{self, Seen};
use super::scenario::{Kind, Scenario};

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// The kind of load, as in `smoke`.
    pub kind: String,
    /// Who was asked, as in `wasm`.
    pub server: String,
    /// Users at most.
    pub users: usize,
    /// The bounds of their pauses, in milliseconds.
    pub pause_ms: [u64; 2],
    /// How long was measured: from the end of the first stage to the end.
    pub measured_secs: f64,
    /// All answers together.
    pub totals: Totals,
    /// Answers from the cache in percent of those that looked there, if any did.
    pub hits_percent: Option<f64>,
    /// Step by step.
    pub steps: Vec<StepFigures>,
    /// Second by second, from the beginning.
    pub seconds: Vec<Second>,
    /// What must hold, and whether it does.
    pub thresholds: Vec<Verdict>,
    /// What the machine did meanwhile.
    pub seen: Seen,
    /// What held the run back.
    pub bottleneck: String,
    /// What the ledger holds afterwards, where it can be asked.
    pub ledger: Option<Ledger>,
    /// What went wrong first.
    pub first_errors: Vec<String>,
}

/// All answers of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Answers as they should be, after the first stage; the latencies are theirs.
    pub requests: u64,
    /// Those in a second.
    pub requests_per_sec: f64,
    /// Requests that failed, at any time.
    pub errors: u64,
    /// The median latency.
    pub p50_micros: u64,
    /// What 95 of 100 do not exceed.
    pub p95_micros: u64,
    /// What 99 of 100 do not exceed.
    pub p99_micros: u64,
    /// The longest.
    pub max_micros: u64,
    /// Answers from the cache.
    pub hits: u64,
    /// Answers that looked there in vain.
    pub misses: u64,
}

/// One step of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepFigures {
    /// Its name.
    pub step: String,
    /// What came of it.
    pub totals: Totals,
    /// All answers by their status, those of the first stage included.
    pub by_status: BTreeMap<u16, u64>,
}

/// What was seen within a second or so; what is not known is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Second {
    /// When, since the beginning.
    pub at_secs: f64,
    /// Users at the moment.
    pub users: usize,
    /// Answers as they should be, in a second.
    pub requests_per_sec: f64,
    /// Requests that failed.
    pub errors: u64,
    /// The median latency, if anything was answered.
    pub p50_micros: Option<u64>,
    /// What 95 of 100 do not exceed.
    pub p95_micros: Option<u64>,
    /// What 99 of 100 do not exceed.
    pub p99_micros: Option<u64>,
    /// Answers from the cache.
    pub hits: u64,
    /// Answers that looked there in vain.
    pub misses: u64,
    /// The share of a core that the load took.
    pub generator_cores: f64,
    /// The share of the time that the machine's cores computed.
    pub busy_percent: Option<f64>,
    /// Cores that the hosts kept busy.
    pub host_cores: Option<f64>,
    /// Memory of the hosts.
    pub host_resident_bytes: Option<u64>,
    /// Cores that Postgres kept busy.
    pub postgres_cores: Option<f64>,
    /// Sessions of Postgres.
    pub sessions: Option<u32>,
    /// Of those, the ones that ran a statement.
    pub active_sessions: Option<u32>,
    /// Of those, the ones that waited for a lock.
    pub locked_sessions: Option<u32>,
}

/// Something that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What, with its bound.
    pub threshold: String,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub is_met: bool,
}

/// The spends that were acknowledged, and those that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Acknowledged.
    pub acknowledged: u64,
    /// Sent, and nobody knows what came of them.
    pub unknown: u64,
    /// In the ledger.
    pub found: u64,
}

impl Ledger {
    /// Whether each acknowledged spend is there once, and no other.
    pub const fn is_right(self) -> bool {
        self.acknowledged <= self.found && self.found <= self.acknowledged + self.unknown
    }
}

impl Totals {
    /// Failures of all requests, in percent.
    pub fn errors_percent(&self) -> f64 {
        100.0 * self.errors as f64 / (self.requests + self.errors).max(1) as f64
    }

    /// Answers from the cache in percent of those that looked there, if any did.
    pub fn hits_percent(&self) -> Option<f64> {
        let looked = self.hits + self.misses;
        (looked > 0).then(|| 100.0 * self.hits as f64 / looked as f64)
    }
}

/// Holds the figures against the scenario's thresholds. `patience` multiplies the bounds of
/// latencies.
pub fn judge(
    scenario: &Scenario,
    kind: &Kind,
    totals: &Totals,
    steps: &[StepFigures],
    seconds: &[Second],
    patience: f64,
) -> Vec<Verdict> {
    let thresholds = &scenario.thresholds;
    let mut verdicts = vec![Verdict {
        threshold: "something is answered".to_owned(),
        measured: format!("{} answers", totals.requests),
        is_met: totals.requests > 0,
    }];
    let errors = totals.errors_percent();
    verdicts.push(Verdict {
        threshold: format!("errors at most {}%", thresholds.max_errors_percent),
        measured: format!("{errors:.3}%"),
        is_met: errors <= thresholds.max_errors_percent,
    });
    let mut bound = |what: &str, micros: u64, bound_ms: u64| {
        let bound_ms = bound_ms as f64 * patience;
        verdicts.push(Verdict {
            threshold: format!("{what} at most {bound_ms} ms"),
            measured: format!("{} ms", millis(micros)),
            is_met: micros as f64 <= bound_ms * 1_000.0,
        });
    };
    bound("p50", totals.p50_micros, thresholds.p50_ms);
    bound("p95", totals.p95_micros, thresholds.p95_ms);
    bound("p99", totals.p99_micros, thresholds.p99_ms);
    for threshold in &thresholds.steps {
        let step = steps.iter().find(|step| step.step == threshold.name);
        // A short run may have none of a rare one.
        if let Some(step) = step.filter(|step| step.totals.requests > 0) {
            let what = format!("{}: p95", threshold.name);
            bound(&what, step.totals.p95_micros, threshold.p95_ms);
        }
    }
    if let Some(least) = kind.min_cache_hits_percent {
        let hits = totals.hits_percent();
        verdicts.push(Verdict {
            threshold: format!("cache hits at least {least}%"),
            measured: hits.map_or_else(|| "none looked".to_owned(), |hits| format!("{hits:.2}%")),
            is_met: hits >= Some(least),
        });
    }
    if let Some(most) = kind.max_memory_growth_percent
        && let Some(grown) = memory_growth_percent(seconds)
    {
        verdicts.push(Verdict {
            threshold: format!("memory of the host grows by at most {most}%"),
            measured: format!("{grown:+.1}%"),
            is_met: grown <= most,
        });
    }
    verdicts
}

/// By how much the hosts' memory in the last quarter exceeds that in the second one: the first has
/// the start.
fn memory_growth_percent(seconds: &[Second]) -> Option<f64> {
    let quarter = seconds.len() / 4;
    let mean = |part: &[Second]| {
        let known: Vec<u64> = part
            .iter()
            .filter_map(|one| one.host_resident_bytes)
            .collect();
        let sum = known.iter().sum::<u64>() as f64;
        (!known.is_empty()).then(|| sum / known.len() as f64)
    };
    let before = mean(seconds.get(quarter..2 * quarter)?)?;
    let after = mean(seconds.get(3 * quarter..)?)?;
    Some(100.0 * (after - before) / before)
}

/// What the machine did, on average after the first stage.
pub fn seen(
    seconds: &[Second],
    first_stage_secs: f64,
    cores: usize,
    generator_busy_percent: f64,
    pool_connections: usize,
) -> Seen {
    let measured: Vec<&Second> = seconds
        .iter()
        .filter(|second| second.at_secs > first_stage_secs)
        .collect();
    let mean = |of: &dyn Fn(&Second) -> Option<f64>| {
        let known: Vec<f64> = measured.iter().filter_map(|second| of(second)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    Seen {
        cores,
        busy_percent: mean(&|second| second.busy_percent),
        host_cores: mean(&|second| second.host_cores),
        postgres_cores: mean(&|second| second.postgres_cores),
        generator_busy_percent,
        pool_connections,
        active_sessions: mean(&|second| second.active_sessions.map(f64::from)),
        locked_sessions: mean(&|second| second.locked_sessions.map(f64::from)),
    }
}

impl Report {
    /// Whether all holds that must.
    pub fn is_passed(&self) -> bool {
        let are_met = self.thresholds.iter().all(|verdict| verdict.is_met);
        are_met && self.ledger.is_none_or(Ledger::is_right)
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let totals = &self.totals;
        writeln!(out, "{}", self.command)?;
        writeln!(out, "{}", self.machine.to_line())?;
        writeln!(
            out,
            "{}, {}: up to {} users with pauses of {} to {} ms, {:.0} s measured; latencies in ms\n",
            self.kind,
            self.server,
            self.users,
            self.pause_ms[0],
            self.pause_ms[1],
            self.measured_secs
        )?;
        let heads = ["req/s", "p50", "p95", "p99", "max", "hits", "errors"];
        let mut table = Table::new(["step"], heads);
        for step in &self.steps {
            table.row([step.step.as_str()], step.totals.cells());
        }
        table.row(["all"], totals.cells());
        writeln!(out, "{table}")?;
        for verdict in &self.thresholds {
            let mark = if verdict.is_met { "ok    " } else { "FAILED" };
            writeln!(out, "{mark} {}: {}", verdict.threshold, verdict.measured)?;
        }
        if let Some(ledger) = self.ledger {
            let mark = if ledger.is_right() {
                "ok    "
            } else {
                "FAILED"
            };
            writeln!(
                out,
                "{mark} the ledger holds {} spends; {} were acknowledged, and of {} nobody knows",
                ledger.found, ledger.acknowledged, ledger.unknown
            )?;
        }
        for error in &self.first_errors {
            writeln!(out, "ERROR {error}")?;
        }
        writeln!(out, "\nbottleneck: {}", self.bottleneck)
    }
}

impl Totals {
    fn cells(&self) -> [String; 7] {
        let hits = self.hits_percent();
        [
            grouped(self.requests_per_sec),
            millis(self.p50_micros),
            millis(self.p95_micros),
            millis(self.p99_micros),
            millis(self.max_micros),
            hits.map_or_else(String::new, |hits| format!("{hits:.1}%")),
            self.errors.to_string(),
        ]
    }
}

impl Figures for Report {
    fn compared(&self) -> Compared {
        let all = ("all".to_owned(), self.totals.p95_micros);
        let steps = self.steps.iter().filter(|step| step.totals.requests > 0);
        let steps = steps.map(|step| (step.step.clone(), step.totals.p95_micros));
        Compared {
            format: self.format,
            conditions: format!(
                "{} cores, {} and {} users, {}",
                self.machine.cores, self.kind, self.users, self.server
            ),
            wasm_p95: std::iter::once(all).chain(steps).collect(),
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
pub mod tests {
    use super::super::scenario::tests::SMALL;
    use super::*;
    use crate::load::figures::assert_text_survives;

    fn totals(requests: u64, errors: u64, p95_micros: u64) -> Totals {
        Totals {
            requests,
            requests_per_sec: 1_234.5,
            errors,
            p50_micros: 1_000,
            p95_micros,
            p99_micros: 2 * p95_micros,
            max_micros: 3 * p95_micros,
            hits: 90,
            misses: 10,
        }
    }

    /// A run with one step beside all.
    pub fn report() -> Report {
        let scenario = Scenario::parse(SMALL).expect("it is right");
        let kind = scenario.kind("smoke").expect("it is there");
        let steps = vec![StepFigures {
            step: "log in".to_owned(),
            totals: totals(10, 0, 250_000),
            by_status: BTreeMap::from([(200, 11)]),
        }];
        let seconds: Vec<Second> = (1..=8)
            .map(|second| Second {
                at_secs: f64::from(second),
                users: 4,
                requests_per_sec: 100.0,
                p50_micros: Some(1_000),
                p95_micros: (second != 3).then_some(2_000),
                host_resident_bytes: Some(100_000_000),
                busy_percent: Some(50.0),
                active_sessions: Some(2),
                ..Second::default()
            })
            .collect();
        let totals = totals(1_000, 0, 90_000);
        let seen = seen(&seconds, 1.0, 2, 30.0, 32);
        Report {
            format: FORMAT,
            command: "cargo turnpike load smoke".to_owned(),
            machine: Machine {
                cores: 2,
                operating_system: "linux".to_owned(),
                architecture: "x86_64".to_owned(),
                date: "2026-01-02T03:04:05Z".to_owned(),
                commit: None,
            },
            kind: "smoke".to_owned(),
            server: "wasm".to_owned(),
            users: 4,
            pause_ms: [10, 20],
            measured_secs: 9.0,
            thresholds: judge(&scenario, kind, &totals, &steps, &seconds, 1.0),
            hits_percent: totals.hits_percent(),
            totals,
            steps,
            seconds,
            bottleneck: bottleneck::name(&seen),
            seen,
            ledger: Some(Ledger {
                acknowledged: 7,
                unknown: 1,
                found: 7,
            }),
            first_errors: Vec::new(),
        }
    }

    #[test]
    fn the_text_has_every_row_and_survives_json() {
        let report = report();
        assert!(report.is_passed(), "{}", report.to_text());
        assert_text_survives(
            &report,
            &[
                "log in",
                "1,234",
                "90.0%",
                "ok     p95 at most 100 ms: 90.0 ms",
                "bottleneck: nothing",
                "7 were acknowledged",
            ],
        );
    }

    #[test]
    fn thresholds_are_held() {
        let scenario = Scenario::parse(SMALL).expect("it is right");
        let mut kind = scenario.kind("smoke").expect("it is there").clone();
        kind.max_memory_growth_percent = Some(10.0);
        let step = |p95_micros| StepFigures {
            step: "log in".to_owned(),
            totals: totals(1, 0, p95_micros),
            by_status: BTreeMap::new(),
        };
        let memory = |bytes: [u64; 4]| -> Vec<Second> {
            bytes
                .into_iter()
                .map(|bytes| Second {
                    host_resident_bytes: (bytes > 0).then_some(bytes),
                    ..Second::default()
                })
                .collect()
        };
        let few_hits = Totals {
            hits: 49,
            misses: 51,
            ..totals(1, 0, 1)
        };
        for (all, log_in, bytes, patience, failed) in [
            (
                totals(1, 0, 100_000),
                300_000,
                [9, 100, 105, 110],
                1.0,
                None,
            ),
            (totals(0, 0, 0), 1, [0; 4], 1.0, Some("something")),
            (totals(99, 1, 1), 1, [0; 4], 1.0, None),
            (totals(98, 2, 1), 1, [0; 4], 1.0, Some("errors")),
            (totals(1, 0, 100_001), 1, [0; 4], 1.0, Some("p95 at")),
            (totals(1, 0, 100_001), 1, [0; 4], 1.1, None),
            (totals(1, 0, 1), 300_001, [0; 4], 1.0, Some("log in")),
            (few_hits, 1, [0; 4], 1.0, Some("cache hits")),
            (totals(1, 0, 1), 1, [9, 100, 105, 111], 1.0, Some("memory")),
        ] {
            let verdicts = judge(
                &scenario,
                &kind,
                &all,
                &[step(log_in)],
                &memory(bytes),
                patience,
            );
            let failures: Vec<&str> = verdicts
                .iter()
                .filter(|verdict| !verdict.is_met)
                .map(|verdict| verdict.threshold.as_str())
                .collect();
            match failed {
                None => assert!(failures.is_empty(), "{failures:?}"),
                Some(start) => assert!(
                    failures.len() == 1 && failures[0].starts_with(start),
                    "{start}, and not {failures:?}"
                ),
            }
        }
    }

    #[test]
    fn ledgers() {
        for (acknowledged, unknown, found, expected) in [
            (5, 0, 5, true),
            (5, 0, 4, false),
            (5, 0, 6, false),
            (5, 2, 7, true),
            (5, 2, 8, false),
        ] {
            let ledger = Ledger {
                acknowledged,
                unknown,
                found,
            };
            assert_eq!(ledger.is_right(), expected, "{ledger:?}");
        }
    }
}
