//! One phase of load against one server, with a bar while it runs.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_postgres::Client;

use super::figures::Measurement;
use super::fixtures;
use super::generator::{self, Outcome, Phase};
use super::other_work;
use super::server_process::ServerProcess;
use super::workload::Workload;

/// How often the bar of a phase moves.
const BAR_TICK: Duration = Duration::from_millis(100);

/// What is measured by one phase.
pub struct Subject<'a> {
    /// What the row and the bar call it.
    pub label: String,
    /// Who is asked.
    pub server: &'a ServerProcess,
    /// What is asked.
    pub workload: Workload,
    /// The share of responses that must come from the cache, in percent: otherwise the row does
    /// not measure what its name says.
    pub expected_hits_percent: RangeInclusive<u64>,
    /// The server's database, which is settled first.
    pub database: Option<&'a Client>,
}

/// Measures, and returns the figures with the number of requests that were answered with success,
/// the warm-up's included.
///
/// # Errors
/// A response is no success, or comes from where it should not.
pub async fn measure(subject: Subject<'_>, phase: Phase) -> Result<(Measurement, u64)> {
    let label = subject.label.clone();
    measure_labelled(subject, phase).await.context(label)
}

async fn measure_labelled(subject: Subject<'_>, phase: Phase) -> Result<(Measurement, u64)> {
    if let Some(database) = subject.database {
        fixtures::settle(database).await?;
    }
    let before = other_work::busy_percent().await;
    let receiver = generator::start(subject.server.address(), subject.workload, phase)?;
    let began = Instant::now();
    let elapsed = || millis_of(began.elapsed());
    let whole = millis_of(phase.warmup + phase.measured);
    let outcome = with_bar(&subject.label, whole, elapsed, async { receiver.await? }).await?;
    // Afterwards too, because what began meanwhile is likely to be still at it.
    let after = other_work::busy_percent().await;
    let other_work_percent = before.zip(after).map(|(before, after)| before.max(after));
    let measured = summarize(
        &outcome,
        phase,
        other_work_percent,
        &subject.expected_hits_percent,
    )?;
    Ok((measured, outcome.acknowledged))
}

fn millis_of(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Waits for some work and shows how far it is: `done` of `whole`.
pub async fn with_bar<T>(
    label: &str,
    whole: u64,
    done: impl Fn() -> u64,
    work: impl Future<Output = T>,
) -> T {
    let bar = ProgressBar::new(whole);
    let style = ProgressStyle::with_template("[{bar:30}] {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(label.to_owned());
    if bar.is_hidden() {
        eprintln!("measuring {label}");
    }
    let mut ticks = tokio::time::interval(BAR_TICK);
    let mut work = std::pin::pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            _ = ticks.tick() => bar.set_position(done()),
        }
    };
    bar.finish_and_clear();
    outcome
}

fn summarize(
    outcome: &Outcome,
    phase: Phase,
    other_work_percent: Option<f64>,
    expected: &RangeInclusive<u64>,
) -> Result<Measurement> {
    let latencies = &outcome.latencies;
    let requests = latencies.len();
    ensure!(requests > 0, "no response came within the measured time");
    let hits_percent = 100 * outcome.cache_hits / requests;
    ensure!(
        expected.contains(&hits_percent),
        "{hits_percent}% of the responses came from the cache, where {expected:?}% should: the row would not measure what it says; raise --warmup-secs"
    );
    Ok(Measurement {
        requests,
        requests_per_sec: requests as f64 / phase.measured.as_secs_f64(),
        min_micros: latencies.min(),
        avg_micros: latencies.mean().round() as u64,
        p50_micros: latencies.value_at_quantile(0.50),
        p95_micros: latencies.value_at_quantile(0.95),
        p99_micros: latencies.value_at_quantile(0.99),
        max_micros: latencies.max(),
        repeated: outcome.repeated,
        generator_busy_percent: outcome.generator_busy_percent,
        other_work_percent,
    })
}
