//! Whether the time that a refused sign-in takes tells if the email is known.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;

use crate::fixtures::{Fixtures, LOGIN_USERS};
use crate::load::fixtures::random;
use crate::load::generator::Connection;
use crate::load::server_process::ServerProcess;
use crate::report::Timing;
use crate::workload;

/// Sign-ins with a wrong password for an email that is known, and as many for emails that are not.
const ATTEMPTS: usize = LOGIN_USERS;

/// Attempts before any is measured, until instances and connections exist.
const WARMUP_ATTEMPTS: usize = 20;

/// Failures are forgotten this often: an address may have 300 before it is locked out.
const FORGET_EVERY: usize = 100;

/// Longest sign-in that is told apart from longer ones: a minute.
const MAX_MICROS: u64 = 60_000_000;

/// Asks one at a time, in an order drawn at random, so that nothing that changes over time favours
/// either.
///
/// # Errors
/// An attempt is not refused with 401.
pub async fn measure(server: &ServerProcess, fixtures: &Fixtures) -> Result<Timing> {
    let mut attempts: Vec<(bool, String)> = Vec::with_capacity(2 * ATTEMPTS);
    for (number, email) in fixtures.emails.iter().take(ATTEMPTS).enumerate() {
        attempts.push((true, email.clone()));
        // As long as a known one, so that both requests have one length.
        attempts.push((false, format!("none-{:03}@bench.example", number % 1_000)));
    }
    shuffle(&mut attempts)?;

    fixtures.forget_failures().await?;
    let mut connection = Connection::open(server.address()).await?;
    for _ in 0..WARMUP_ATTEMPTS {
        let attempt = workload::login(&fixtures.emails[0], "a wrong password");
        connection.exchange(attempt.as_bytes()).await?;
        fixtures.forget_failures().await?;
    }
    let bar = ProgressBar::new(attempts.len() as u64);
    if bar.is_hidden() {
        eprintln!("measuring refused sign-ins");
    }
    let mut known = Histogram::<u32>::new_with_bounds(1, MAX_MICROS, 3)?;
    let mut unknown = known.clone();
    for (number, (is_known, email)) in attempts.iter().enumerate() {
        if number % FORGET_EVERY == 0 {
            fixtures.forget_failures().await?;
        }
        let attempt = workload::login(email, "a wrong password");
        let began = Instant::now();
        let head = connection
            .exchange(attempt.as_bytes())
            .await
            .context("a refused sign-in")?;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(MAX_MICROS);
        ensure!(
            head.status == 401,
            "a wrong password was answered {}: {}",
            head.status,
            connection.quoted_body(head)
        );
        let histogram = if *is_known { &mut known } else { &mut unknown };
        histogram.saturating_record(micros.max(1));
        bar.inc(1);
    }
    bar.finish_and_clear();
    fixtures.forget_failures().await?;
    Ok(Timing {
        attempts: ATTEMPTS,
        known_p50_micros: known.value_at_quantile(0.50),
        known_p95_micros: known.value_at_quantile(0.95),
        unknown_p50_micros: unknown.value_at_quantile(0.50),
        unknown_p95_micros: unknown.value_at_quantile(0.95),
    })
}

/// Fisher and Yates's shuffle; the remainder's bias, of 64 bits by 400, does not matter here.
fn shuffle<T>(items: &mut [T]) -> Result<()> {
    for last in (1..items.len()).rev() {
        let drawn = u64::from_be_bytes(random()?) % (last as u64 + 1);
        items.swap(last, usize::try_from(drawn)?);
    }
    Ok(())
}
