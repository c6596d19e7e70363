//! A given number of requests from a given number of connections. Unlike the load of the other
//! benchmarks it goes on after a failure, and counts it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::load::generator::{Connection, MAX_LATENCY_MICROS, exchange_on, latencies, thread_time};
use crate::load::response::Head;
use crate::load::workload::Workload;

/// How much is asked of one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Requests before any is measured.
    pub warmup: u64,
    /// Requests that are measured.
    pub measured: u64,
}

/// What came of the measured requests.
#[derive(Debug)]
pub struct Outcome {
    /// Latencies of the successes in microseconds.
    pub latencies: Histogram<u32>,
    /// How many of those came from the cache.
    pub cache_hits: u64,
    /// Requests that were not answered with a 2xx.
    pub errors: u64,
    /// What went wrong first.
    pub first_error: Option<String>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// The share of that time that this thread computed.
    pub generator_busy_percent: f64,
}

/// What the connections share.
struct Pass {
    address: SocketAddr,
    workload: Rc<Workload>,
    requests: u64,
    next_number: Cell<u64>,
    latencies: RefCell<Histogram<u32>>,
    cache_hits: Cell<u64>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
    /// Requests that ended, in this pass and those before it.
    done: Arc<AtomicU64>,
}

/// Warms up and measures, on this thread, which must be a local set's.
///
/// # Errors
/// A connection panics. An endpoint that fails is no error here, but counted.
pub async fn run(
    address: SocketAddr,
    workload: Workload,
    round: Round,
    done: Arc<AtomicU64>,
) -> Result<Outcome> {
    let workload = Rc::new(workload);
    let pass = |requests| {
        let (workload, done) = (Rc::clone(&workload), Arc::clone(&done));
        run_pass(address, workload, round.connections, requests, done)
    };
    // What fails here fails again when it is measured.
    pass(round.warmup).await?;
    pass(round.measured).await
}

async fn run_pass(
    address: SocketAddr,
    workload: Rc<Workload>,
    connections: usize,
    requests: u64,
    done: Arc<AtomicU64>,
) -> Result<Outcome> {
    let pass = Rc::new(Pass {
        address,
        workload,
        requests,
        next_number: Cell::new(0),
        latencies: RefCell::new(latencies()?),
        cache_hits: Cell::new(0),
        errors: Cell::new(0),
        first_error: RefCell::new(None),
        done,
    });
    let began = Instant::now();
    let computed_before = thread_time();
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        senders.spawn_local(Rc::clone(&pass).send_in_turn());
    }
    while let Some(ended) = senders.join_next().await {
        ended.context("a connection of the load generator panicked")?;
    }
    let elapsed = began.elapsed();
    let computed = thread_time().saturating_sub(computed_before);
    Ok(Outcome {
        latencies: pass.latencies.borrow().clone(),
        cache_hits: pass.cache_hits.get(),
        errors: pass.errors.get(),
        first_error: pass.first_error.take(),
        elapsed,
        generator_busy_percent: 100.0 * computed.as_secs_f64() / elapsed.as_secs_f64(),
    })
}

impl Pass {
    async fn send_in_turn(self: Rc<Self>) {
        let mut connection = None;
        let mut request = Vec::new();
        loop {
            let number = self.next_number.get();
            if number >= self.requests {
                return;
            }
            self.next_number.set(number + 1);
            self.workload.render(number, &mut request);
            match exchange(&mut connection, self.address, &request).await {
                Ok((latency, head)) => self.record(latency, head),
                Err(error) => {
                    self.errors.set(self.errors.get() + 1);
                    self.first_error
                        .borrow_mut()
                        .get_or_insert_with(|| format!("{error:#}"));
                }
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn record(&self, latency: Duration, head: Head) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MAX_LATENCY_MICROS);
        self.latencies.borrow_mut().saturating_record(micros.max(1));
        if head.is_cache_hit {
            self.cache_hits.set(self.cache_hits.get() + 1);
        }
    }
}

/// Sends a request; an answer other than a 2xx is an error too.
async fn exchange(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &[u8],
) -> Result<(Duration, Head)> {
    let (latency, head) = exchange_on(connection, address, request).await?;
    if !(200..300).contains(&head.status) {
        let body = connection.as_ref().map(|kept| kept.quoted_body(head));
        bail!("answered {}: {}", head.status, body.unwrap_or_default());
    }
    Ok((latency, head))
}
