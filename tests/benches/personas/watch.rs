//! A run from the outside: the users on a thread of their own, and once a second what they tell
//! beside what the processes and Postgres show.

use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc::unbounded_channel;
use tokio_postgres::Client;

use crate::load::figures::{grouped, millis};
use crate::load::generator::on_own_thread;
use crate::load::other_work::{self, Times};

use super::processes;
use super::report::Second;
use super::runner::{self, Outcome, Plan, Told};

/// How long Postgres may take to say what its sessions do. Without an answer nothing is known of
/// that second.
const SESSIONS_PATIENCE: Duration = Duration::from_millis(500);

/// How often the state is printed where no bar can be shown.
const PRINTED_EVERY: Duration = Duration::from_secs(10);

/// What is looked at beside the answers.
#[derive(Default)]
pub struct Watched<'a> {
    /// The hosts' processes.
    pub host_pids: Vec<u32>,
    /// A connection to the database that the hosts use.
    pub database: Option<&'a Client>,
}

/// Runs the plan, and returns what came of it with what was seen second by second.
///
/// # Errors
/// The thread cannot be started, or a user panics.
pub async fn run(label: &str, plan: Plan, watched: &Watched<'_>) -> Result<(Outcome, Vec<Second>)> {
    let whole: Duration = plan.stages.iter().map(|stage| stage.1).sum();
    let (sender, mut told) = unbounded_channel();
    let postmaster = postmaster(watched.database).await;
    let mut before = Moment::now(watched, postmaster);
    let outcome = on_own_thread(move || runner::run(plan, sender))?;

    let bar = ProgressBar::new(whole.as_millis().try_into().unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut printed = Duration::ZERO;
    let mut seconds = Vec::new();
    while let Some(news) = told.recv().await {
        let now = Moment::now(watched, postmaster);
        let mut second = second(&news, &before, &now);
        if let Some(client) = watched.database
            && let Some([sessions, active, locked]) = sessions(client).await
        {
            second.sessions = Some(sessions);
            second.active_sessions = Some(active);
            second.locked_sessions = Some(locked);
        }
        let state = state(label, &second);
        if bar.is_hidden() && news.at >= printed + PRINTED_EVERY {
            printed = news.at;
            eprintln!("{:>5.0} s  {state}", second.at_secs);
        }
        bar.set_position(news.at.as_millis().try_into().unwrap_or(u64::MAX));
        bar.set_message(state);
        seconds.push(second);
        before = now;
    }
    bar.finish_and_clear();
    let outcome = outcome.await.context("the users ended without a word")??;
    Ok((outcome, seconds))
}

/// What the processes had used at a moment.
struct Moment {
    machine: Option<Times>,
    host_cpu_secs: Option<f64>,
    host_resident_bytes: Option<u64>,
    postgres_cpu_secs: Option<f64>,
}

impl Moment {
    fn now(watched: &Watched<'_>, postmaster: Option<u32>) -> Self {
        let hosts = &watched.host_pids[..];
        let of_hosts = !hosts.is_empty();
        Self {
            machine: other_work::read_times(),
            host_cpu_secs: of_hosts.then(|| processes::cpu_secs(hosts)).flatten(),
            host_resident_bytes: of_hosts.then(|| processes::resident_bytes(hosts)).flatten(),
            postgres_cpu_secs: postmaster.and_then(processes::family_cpu_secs),
        }
    }
}

fn second(told: &Told, before: &Moment, now: &Moment) -> Second {
    let secs = told.within.as_secs_f64().max(0.001);
    let cores = |before: Option<f64>, now: Option<f64>| {
        let used = now? - before?;
        Some(used.max(0.0) / secs)
    };
    let busy = before.machine.zip(now.machine);
    let busy = busy.and_then(|(before, now)| other_work::busy_share(before, now));
    let latencies = &told.latencies;
    let at_quantile = |quantile| {
        let is_known = !latencies.is_empty();
        is_known.then(|| latencies.value_at_quantile(quantile))
    };
    Second {
        at_secs: told.at.as_secs_f64(),
        users: told.users,
        requests_per_sec: latencies.len() as f64 / secs,
        errors: told.errors,
        p50_micros: at_quantile(0.50),
        p95_micros: at_quantile(0.95),
        p99_micros: at_quantile(0.99),
        hits: told.hits,
        misses: told.misses,
        generator_cores: told.computed.as_secs_f64() / secs,
        busy_percent: busy.map(|share| 100.0 * share),
        host_cores: cores(before.host_cpu_secs, now.host_cpu_secs),
        host_resident_bytes: now.host_resident_bytes,
        postgres_cores: cores(before.postgres_cpu_secs, now.postgres_cpu_secs),
        sessions: None,
        active_sessions: None,
        locked_sessions: None,
    }
}

fn state(label: &str, second: &Second) -> String {
    let looked = second.hits + second.misses;
    let hits = match looked {
        0 => "no look-ups".to_owned(),
        looked => format!("{:.1}% hits", 100.0 * second.hits as f64 / looked as f64),
    };
    format!(
        "{label}: {} users, {}/s, p95 {} ms, {hits}, {} errors",
        second.users,
        grouped(second.requests_per_sec),
        second.p95_micros.map_or_else(|| "-".to_owned(), millis),
        second.errors
    )
}

/// The process that starts the sessions of Postgres, if it is one of this machine.
async fn postmaster(database: Option<&Client>) -> Option<u32> {
    let row = database?.query_one("SELECT pg_backend_pid()", &[]).await;
    let session: i32 = row.ok()?.try_get(0).ok()?;
    let session = u32::try_from(session).ok()?;
    // Another machine's session may have the number of any process of this one.
    let name = std::fs::read_to_string(format!("/proc/{session}/comm")).ok()?;
    let is_postgres = name.trim_end() == "postgres";
    is_postgres.then(|| processes::parent_of(session)).flatten()
}

/// The sessions of clients but this one; those that run a statement; and those that wait for a lock.
async fn sessions(client: &Client) -> Option<[u32; 3]> {
    const SQL: &str = "SELECT count(*), count(*) FILTER (WHERE state = 'active'),
                              count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock')
                         FROM pg_stat_activity
                        WHERE datname = current_database() AND backend_type = 'client backend'
                          AND pid <> pg_backend_pid()";
    let row = tokio::time::timeout(SESSIONS_PATIENCE, client.query_one(SQL, &[])).await;
    let row = row.ok()?.ok()?;
    let count = |column: usize| {
        let count: i64 = row.try_get(column).ok()?;
        u32::try_from(count).ok()
    };
    Some([count(0)?, count(1)?, count(2)?])
}
