//! What the design asks for, held against the figures of the benchmarks. The targets are in
//! `targets.toml`, which explains itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const TARGETS: &str = include_str!("targets.toml");

/// The row with the largest value.
const LARGEST: &str = "*";

/// The figures of each benchmark, by its name, as its `--json` wrote them.
pub type Figures = BTreeMap<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "target")]
    targets: Vec<Target>,
}

/// One figure that is to be reached, and where it is found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What is measured, with its unit.
    pub what: String,
    /// The benchmark that measures it.
    pub bench: String,
    #[serde(default)]
    within: String,
    row: Option<String>,
    value: String,
    of: Option<String>,
    #[serde(default = "one")]
    scale: f64,
    at_least: Option<f64>,
    at_most: Option<f64>,
}

fn one() -> f64 {
    1.0
}

/// A target beside what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// What is measured, with its unit.
    pub what: String,
    /// The benchmark that measures it.
    pub bench: String,
    /// As in `at least 0.5`.
    pub target: String,
    /// What was measured.
    pub measured: f64,
    /// Whether that is as good.
    pub is_reached: bool,
}

/// All of them.
///
/// # Errors
/// The file is not of this form.
pub fn all() -> Result<Vec<Target>> {
    parse(TARGETS).context("targets.toml cannot be used")
}

fn parse(text: &str) -> Result<Vec<Target>> {
    let table: Table = toml::from_str(text)?;
    for target in &table.targets {
        ensure!(
            target.at_least.is_some() != target.at_most.is_some(),
            "{}: give at_least or at_most",
            target.what
        );
    }
    Ok(table.targets)
}

/// Holds the targets against the figures. Those of benchmarks that did not run are left out.
///
/// # Errors
/// A benchmark ran and does not have the figure.
pub fn hold(targets: &[Target], figures: &Figures) -> Result<Vec<Reached>> {
    let measured = targets
        .iter()
        .filter_map(|target| Some((target, figures.get(&target.bench)?)));
    measured
        .map(|(target, figures)| {
            target
                .held_against(figures)
                .with_context(|| format!("{} has no figure for {}", target.bench, target.what))
        })
        .collect()
}

impl Target {
    fn held_against(&self, figures: &Value) -> Option<Reached> {
        let within = figures.pointer(&self.within)?;
        let figure = |row: &Value| {
            let value = row.pointer(&self.value)?.as_f64()?;
            let divisor = match &self.of {
                Some(place) => row.pointer(place)?.as_f64()?,
                None => 1.0,
            };
            Some(self.scale * value / divisor)
        };
        let measured = match self.row.as_deref() {
            None => figure(within)?,
            Some(LARGEST) => {
                let rows = within.as_array()?.iter();
                rows.filter_map(figure).reduce(f64::max)?
            }
            Some(text) => {
                let rows = within.as_array()?;
                let row = rows.iter().find(|row| {
                    let members = row.as_object().into_iter().flatten();
                    members.into_iter().any(|(_, member)| member == text)
                });
                figure(row?)?
            }
        };
        let (target, is_reached) = match (self.at_least, self.at_most) {
            (Some(least), _) => (format!("at least {least}"), measured >= least),
            (None, most) => {
                let most = most?;
                (format!("at most {most}"), measured <= most)
            }
        };
        Some(Reached {
            what: self.what.clone(),
            bench: self.bench.clone(),
            target,
            measured,
            is_reached,
        })
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use serde_json::json;

    use super::*;

    const SMALL: &str = r#"
[[target]]
what = "share"
bench = "smoke"
within = "/rows"
row = "b"
value = "/wasm"
of = "/native"
at_least = 0.5

[[target]]
what = "largest"
bench = "smoke"
within = "/rows"
row = "*"
value = "/wasm"
scale = 0.1
at_most = 3

[[target]]
what = "whole"
bench = "other"
value = "/events"
at_least = 1
"#;

    #[test]
    fn the_file_can_be_used() {
        assert!(all().expect("it can").len() > 10, "the design has more");
        let both = SMALL.replace("at_least = 1", "at_least = 1\nat_most = 2");
        for wrong in [both, SMALL.replace("at_least = 1", "")] {
            let error = parse(&wrong).expect_err("one bound each");
            assert!(error.to_string().contains("whole"), "{error}");
        }
    }

    #[test]
    fn figures_are_found() {
        let targets = parse(SMALL).expect("it is right");
        let smoke = json!({"rows": [
            {"route": "a", "wasm": 40.0, "native": 40.0},
            {"route": "b", "wasm": 10, "native": 20},
        ]});
        let figures = Figures::from([("smoke".to_owned(), smoke.clone())]);
        let reached = hold(&targets, &figures).expect("both are there");
        let found: Vec<(&str, String, bool)> = reached
            .iter()
            .map(|one| (&*one.what, format!("{:.2}", one.measured), one.is_reached))
            .collect();
        assert_eq!(
            found,
            [
                ("share", "0.50".to_owned(), true),
                ("largest", "4.00".to_owned(), false)
            ]
        );
        for other in [json!({}), json!({"events": "many"})] {
            let figures = Figures::from([("other".to_owned(), other)]);
            let error = hold(&targets, &figures).expect_err("it is not there");
            assert!(error.to_string().contains("whole"), "{error}");
        }
    }
}
