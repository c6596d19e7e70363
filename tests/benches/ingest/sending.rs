//! The connections that send batches to the wasm host.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::batches::{EVENTS_PER_BATCH, Template};
use crate::load::generator::{
    Connection, MAX_LATENCY_MICROS, Phase, STALL, latencies, thread_time,
};
use crate::report::Row;

/// How often a batch that was answered 409 or 503 is sent again.
const MAX_ATTEMPTS: u32 = 5;

/// What came of a measurement.
pub struct Outcome {
    /// Latencies in microseconds of the batches that were answered within the measured time.
    pub latencies: Histogram<u32>,
    /// Batches that were answered with success, the warm-up's included.
    pub acknowledged: u64,
    /// The share of the measured time that this thread computed.
    pub busy_percent: f64,
}

impl Outcome {
    /// The figures of a measurement of this length.
    pub fn row(&self, measured: Duration) -> Row {
        let batches = self.latencies.len();
        let quantile = |share| self.latencies.value_at_quantile(share);
        Row {
            batches,
            events_per_minute: (batches * EVENTS_PER_BATCH) as f64 * 60.0 / measured.as_secs_f64(),
            p50_micros: quantile(0.5),
            p95_micros: quantile(0.95),
            p99_micros: quantile(0.99),
            generator_busy_percent: self.busy_percent,
        }
    }
}

/// What the connections share.
struct Run {
    record_from: Instant,
    until: Instant,
    next_batch: Cell<u64>,
    acknowledged: Cell<u64>,
    latencies: RefCell<Histogram<u32>>,
}

impl Run {
    fn new(phase: Phase) -> Result<Rc<Self>> {
        let record_from = Instant::now() + phase.warmup;
        Ok(Rc::new(Self {
            record_from,
            until: record_from + phase.measured,
            next_batch: Cell::new(0),
            acknowledged: Cell::new(0),
            latencies: RefCell::new(latencies()?),
        }))
    }
}

/// Calls `send` from many tasks at once, with the numbers of batches from 0, until the time is up.
pub async fn repeat<S, C>(
    phase: Phase,
    open: impl AsyncFn() -> Result<C>,
    send: S,
) -> Result<Outcome>
where
    S: AsyncFn(&mut C, u64) -> Result<()> + Clone + 'static,
    C: 'static,
{
    let run = Run::new(phase)?;
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..phase.connections {
        let (run, send, mut connection) = (Rc::clone(&run), send.clone(), open().await?);
        tasks.spawn_local(async move {
            loop {
                let began = Instant::now();
                if began >= run.until {
                    return Ok(());
                }
                let batch = run.next_batch.replace(run.next_batch.get() + 1);
                send(&mut connection, batch).await?;
                run.acknowledged.set(run.acknowledged.get() + 1);
                let ended = Instant::now();
                if ended >= run.record_from && ended < run.until {
                    let micros = ended.duration_since(began).as_micros();
                    let micros = u64::try_from(micros).unwrap_or(MAX_LATENCY_MICROS);
                    run.latencies.borrow_mut().saturating_record(micros.max(1));
                }
            }
        });
    }
    let busy = async {
        tokio::time::sleep_until(run.record_from.into()).await;
        let before = thread_time();
        tokio::time::sleep_until(run.until.into()).await;
        Ok::<_, anyhow::Error>(thread_time().saturating_sub(before))
    };
    let sent = async {
        while let Some(ended) = tasks.join_next().await {
            ended.context("a connection of the load generator panicked")??;
        }
        anyhow::Ok(())
    };
    let limit = phase.warmup + phase.measured + STALL;
    let both = async { tokio::try_join!(sent, busy) };
    let ((), busy): ((), Duration) = tokio::time::timeout(limit, both)
        .await
        .context("a batch was not answered in time")??;
    Ok(Outcome {
        latencies: run.latencies.borrow().clone(),
        acknowledged: run.acknowledged.get(),
        busy_percent: 100.0 * busy.as_secs_f64() / phase.measured.as_secs_f64(),
    })
}

/// Sends batches to the host at `address` as the holder of a token.
pub async fn send_batches(
    address: SocketAddr,
    token: String,
    run: u64,
    phase: Phase,
) -> Result<Outcome> {
    let open = async || {
        let connection = Connection::open(address).await?;
        Ok((connection, Template::new(&token, run)))
    };
    repeat(phase, open, async |(connection, template), batch| {
        let request = template.render(batch);
        for _ in 0..MAX_ATTEMPTS {
            let head = connection.exchange(request).await?;
            match head.status {
                200 => {
                    let body = connection.body(head);
                    ensure!(
                        body.ends_with(b"\"rejected\":0}"),
                        "an event was rejected: {}",
                        connection.quoted_body(head)
                    );
                    return Ok(());
                }
                409 | 503 => {}
                status => bail!(
                    "a batch was answered {status}: {}",
                    connection.quoted_body(head)
                ),
            }
        }
        bail!("a batch was answered 409 or 503 for {MAX_ATTEMPTS} times")
    })
    .await
}
