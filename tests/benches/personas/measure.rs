//! A course of load from its plan to its report.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use crate::load::fixtures;
use crate::load::generator::{latencies, on_own_thread};
use crate::load::machine::Machine;

use super::accounts::{self, Accounts};
use super::bottleneck;
use super::report::{self, Ledger, Report, Second, StepFigures, Totals};
use super::runner::{self, Outcome, Plan};
use super::scenario::{Kind, Scenario};
use super::watch::{self, Watched};

/// Connections that a host has to Postgres at most, by default.
const POOL_CONNECTIONS: usize = 32;

/// How many users for how long, with what pauses.
#[derive(Debug, Clone)]
pub struct Course {
    /// The kind of load.
    pub kind: Kind,
    /// Users at the end of each stage, and how long that takes.
    pub stages: Vec<(usize, Duration)>,
    /// The bounds of a pause, in milliseconds.
    pub pause_ms: [u64; 2],
}

/// What came of a course.
pub struct Ran {
    /// What the users say.
    pub outcome: Outcome,
    /// What was seen, second by second.
    pub seconds: Vec<Second>,
    /// What the ledger holds, where it could be asked.
    pub ledger: Option<Ledger>,
    /// How many hosts were asked.
    pub hosts: usize,
}

impl Course {
    /// As the scenario says, or with all of it in so much time.
    pub fn of(kind: &Kind, whole: Option<Duration>) -> Self {
        Self {
            kind: kind.clone(),
            stages: kind.stages_within(whole),
            pause_ms: kind.pause_ms,
        }
    }

    /// Users at most.
    pub fn most_users(&self) -> usize {
        let users = self.stages.iter().map(|stage| stage.0);
        users.max().unwrap_or_default()
    }

    /// Changes all stages alike, so that there are `most` users at most.
    pub fn scale_users(&mut self, most: usize) {
        let before = self.most_users().max(1);
        for (users, _) in &mut self.stages {
            *users = (*users * most).div_ceil(before);
        }
    }

    fn first_stage(&self) -> Duration {
        self.stages.first().map(|stage| stage.1).unwrap_or_default()
    }
}

/// Does each task once, and then runs a course. The ledger is held against what was acknowledged where there is a connection.
///
/// # Errors
/// A task fails when it is done for the first time, a user panics, or the ledger is not sound.
pub async fn run(
    scenario: Scenario,
    course: &Course,
    accounts: Accounts,
    addresses: Vec<SocketAddr>,
    watched: &Watched<'_>,
) -> Result<Ran> {
    let hosts = addresses.len();
    let plan = Plan {
        days: days(),
        run: u64::from_be_bytes(fixtures::random()?),
        stages: course.stages.clone(),
        pause: course.pause_ms.map(Duration::from_millis),
        scenario,
        accounts,
        addresses,
    };
    let rehearsed = plan.clone();
    let rehearsed = on_own_thread(move || runner::rehearse(rehearsed))?;
    let rehearsed = rehearsed
        .await
        .context("the rehearsal ended without a word")??;
    ensure!(
        rehearsed.first_errors.is_empty(),
        "what the scenario asks for cannot be done: {}",
        rehearsed.first_errors.join("; ")
    );
    let spends_before = match watched.database {
        Some(client) => Some(accounts::spends_in_ledger(client).await?),
        None => None,
    };
    let plan = Plan {
        run: u64::from_be_bytes(fixtures::random()?),
        ..plan
    };
    let (outcome, seconds) = watch::run(&course.kind.name, plan, watched).await?;
    let ledger = match watched.database.zip(spends_before) {
        Some((client, before)) => Some(Ledger {
            acknowledged: outcome.spends,
            unknown: outcome.unknown_spends,
            found: accounts::spends_in_ledger(client).await? - before,
        }),
        None => None,
    };
    Ok(Ran {
        outcome,
        seconds,
        ledger,
        hosts,
    })
}

/// The report of a course: `named` has the command and the server.
///
/// # Errors
/// None that can happen: all histograms have the same bounds.
pub fn report(
    scenario: &Scenario,
    course: &Course,
    ran: Ran,
    machine: Machine,
    named: (String, String),
    patience: f64,
) -> Result<Report> {
    let Ran {
        outcome,
        seconds,
        ledger,
        hosts,
    } = ran;
    let measured_secs = outcome.measured.as_secs_f64();
    let mut all = latencies()?;
    let mut totals = Totals::default();
    let mut steps = Vec::new();
    for (step, came) in scenario.steps().zip(&outcome.steps) {
        all.add(&came.latencies).context("histograms differ")?;
        totals.errors += came.errors;
        totals.hits += came.hits;
        totals.misses += came.misses;
        steps.push(StepFigures {
            step: step.name.clone(),
            totals: Totals {
                errors: came.errors,
                hits: came.hits,
                misses: came.misses,
                ..of_latencies(&came.latencies, measured_secs)
            },
            by_status: came.by_status.clone(),
        });
    }
    let totals = Totals {
        errors: totals.errors,
        hits: totals.hits,
        misses: totals.misses,
        ..of_latencies(&all, measured_secs)
    };
    let seen = report::seen(
        &seconds,
        course.first_stage().as_secs_f64(),
        machine.cores,
        outcome.generator_busy_percent,
        POOL_CONNECTIONS * hosts,
    );
    Ok(Report {
        format: report::FORMAT,
        command: named.0,
        kind: course.kind.name.clone(),
        server: named.1,
        users: course.most_users(),
        pause_ms: course.pause_ms,
        measured_secs,
        thresholds: report::judge(scenario, &course.kind, &totals, &steps, &seconds, patience),
        hits_percent: totals.hits_percent(),
        totals,
        steps,
        seconds,
        bottleneck: bottleneck::name(&seen),
        seen,
        ledger,
        first_errors: outcome.first_errors,
        machine,
    })
}

fn of_latencies(latencies: &hdrhistogram::Histogram<u32>, measured_secs: f64) -> Totals {
    Totals {
        requests: latencies.len(),
        requests_per_sec: latencies.len() as f64 / measured_secs.max(0.001),
        p50_micros: latencies.value_at_quantile(0.50),
        p95_micros: latencies.value_at_quantile(0.95),
        p99_micros: latencies.value_at_quantile(0.99),
        max_micros: latencies.max(),
        ..Totals::default()
    }
}

/// The database's time, RFC 3339 in UTC.
///
/// # Errors
/// Postgres does not answer.
pub async fn date(client: &Client) -> Result<String> {
    let row = client.query_one("SELECT rfc3339(now())", &[]).await?;
    Ok(row.try_get(0)?)
}

/// This machine's time, RFC 3339 in UTC.
pub fn clock_date() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The first of 30 days of which the last is today, and tomorrow.
fn days() -> (String, String) {
    let today = chrono::Utc::now().date_naive();
    let shifted = |days: i64| (today + chrono::Duration::days(days)).to_string();
    (shifted(-29), shifted(1))
}
