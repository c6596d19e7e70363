//! The load generator: a fixed number of keep-alive connections, each of which sends its next
//! request when it has read the last response.
//!
//! It runs on one thread of its own. How busy that thread was is part of the result, because a
//! generator at its limit measures itself.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use super::response::{Head, read_head};
use super::workload::Workload;

/// A request that takes longer than this has failed, whatever comes of it: every wait of
/// Turnpike's ends within two seconds.
pub const STALL: Duration = Duration::from_secs(10);

/// The histogram's range, 1 microsecond to a minute, which is longer than [`STALL`].
pub const MAX_LATENCY_MICROS: u64 = 60_000_000;

/// Three digits: a p95 is exact to a thousandth of itself.
const LATENCY_DIGITS: u8 = 3;

/// Room for one response. The largest measured here has about 700 bytes.
const RECEIVE_BYTES: usize = 16 * 1024;

/// How much of an unexpected body a message quotes.
const QUOTED_BYTES: usize = 500;

/// How often a request with an Idempotency-Key is sent until it is answered otherwise than that it
/// should be sent again. Each attempt ends within 2 s, so that all of them end within [`STALL`].
const MAX_ATTEMPTS: u32 = 5;

/// The answers that ask for the same request again: a row was locked for too long, and Postgres
/// did not answer in time.
const SEND_AGAIN: [u16; 2] = [409, 503];

/// How long and with how many connections.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Load before anything is recorded.
    pub warmup: Duration,
    /// Load that is recorded.
    pub measured: Duration,
}

/// What came of a phase.
#[derive(Debug)]
pub struct Outcome {
    /// Latencies in microseconds of the responses that ended within the measured time.
    pub latencies: Histogram<u32>,
    /// How many of those came from the cache.
    pub cache_hits: u64,
    /// All requests that were answered with success, the warm-up's included.
    pub acknowledged: u64,
    /// Requests that were sent again with the same Idempotency-Key, the warm-up's included.
    pub repeated: u64,
    /// The share of the measured time that the generator's thread computed.
    pub generator_busy_percent: f64,
}

/// What the connections share.
struct Run {
    workload: Workload,
    record_from: Instant,
    until: Instant,
    latencies: RefCell<Histogram<u32>>,
    cache_hits: Cell<u64>,
    acknowledged: Cell<u64>,
    repeated: Cell<u64>,
    next_number: Cell<u64>,
}

/// Starts a phase against the server at `address`; the receiver gets what comes of it.
///
/// # Errors
/// The thread cannot be started. The outcome is an error when a response is no success, cannot
/// be read, or does not come.
pub fn start(
    address: SocketAddr,
    workload: Workload,
    phase: Phase,
) -> Result<oneshot::Receiver<Result<Outcome>>> {
    on_own_thread(move || drive_connections(address, workload, phase))
}

/// Runs a future on a thread of its own, where nothing else delays it; the receiver gets what
/// comes of it.
///
/// # Errors
/// The thread cannot be started.
pub fn on_own_thread<T: Send + 'static, F: Future<Output = T>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the load generator")?;
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let local = LocalSet::new();
            let outcome = runtime.block_on(local.run_until(work()));
            // Nobody waits for the outcome of a run that was given up.
            let _ = sender.send(outcome);
        })
        .context("cannot start the load generator")?;
    Ok(receiver)
}

/// An empty histogram of latencies in microseconds.
///
/// # Errors
/// None that can happen: its bounds are constants.
pub fn latencies() -> Result<Histogram<u32>> {
    Ok(Histogram::new_with_bounds(
        1,
        MAX_LATENCY_MICROS,
        LATENCY_DIGITS,
    )?)
}

async fn drive_connections(
    address: SocketAddr,
    workload: Workload,
    phase: Phase,
) -> Result<Outcome> {
    let record_from = Instant::now() + phase.warmup;
    let until = record_from + phase.measured;
    let run = Rc::new(Run {
        workload,
        record_from,
        until,
        latencies: RefCell::new(latencies()?),
        cache_hits: Cell::new(0),
        acknowledged: Cell::new(0),
        repeated: Cell::new(0),
        next_number: Cell::new(0),
    });
    let mut connections = JoinSet::new();
    for _ in 0..phase.connections {
        connections.spawn_local(send_repeatedly(address, Rc::clone(&run)));
    }
    let answered = async {
        while let Some(ended) = connections.join_next().await {
            ended.context("a connection of the load generator panicked")??;
        }
        Ok(())
    };
    let busy = async {
        tokio::time::sleep_until(record_from.into()).await;
        let before = thread_time();
        tokio::time::sleep_until(until.into()).await;
        Ok::<_, anyhow::Error>(thread_time().saturating_sub(before))
    };
    let limit = phase.warmup + phase.measured + STALL;
    let both = async { tokio::try_join!(answered, busy) };
    let ((), busy) = tokio::time::timeout(limit, both).await.with_context(|| {
        format!(
            "{} was not answered within {} s",
            run.workload.request_line(),
            STALL.as_secs()
        )
    })??;
    Ok(Outcome {
        latencies: run.latencies.borrow().clone(),
        cache_hits: run.cache_hits.get(),
        acknowledged: run.acknowledged.get(),
        repeated: run.repeated.get(),
        generator_busy_percent: 100.0 * busy.as_secs_f64() / phase.measured.as_secs_f64(),
    })
}

async fn send_repeatedly(address: SocketAddr, run: Rc<Run>) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let mut request = Vec::new();
    loop {
        let number = run.next_number.get();
        run.next_number.set(number + 1);
        run.workload.render(number, &mut request);
        let began = Instant::now();
        if began >= run.until {
            return Ok(());
        }
        let mut attempt = 1;
        let head = loop {
            let head = connection
                .exchange(&request)
                .await
                .with_context(|| run.workload.request_line())?;
            // As clients do. What the first attempt did, if anything, is done once all the same.
            let is_repeated = run.workload.is_idempotent()
                && attempt < MAX_ATTEMPTS
                && SEND_AGAIN.contains(&head.status);
            if !is_repeated {
                break head;
            }
            attempt += 1;
            run.repeated.set(run.repeated.get() + 1);
        };
        if !(200..300).contains(&head.status) {
            bail!(
                "{} was answered {}: {}",
                run.workload.request_line(),
                head.status,
                connection.quoted_body(head)
            );
        }
        run.record(began, Instant::now(), head.is_cache_hit);
    }
}

impl Run {
    fn record(&self, began: Instant, ended: Instant, is_cache_hit: bool) {
        self.acknowledged.set(self.acknowledged.get() + 1);
        if ended < self.record_from || ended >= self.until {
            return;
        }
        let micros = ended.duration_since(began).as_micros();
        let micros = u64::try_from(micros).unwrap_or(MAX_LATENCY_MICROS);
        self.latencies.borrow_mut().saturating_record(micros.max(1));
        if is_cache_hit {
            self.cache_hits.set(self.cache_hits.get() + 1);
        }
    }
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    /// The last response.
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(RECEIVE_BYTES),
        })
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// The connection ends, or what comes is no response.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Head> {
        self.stream.write_all(request).await?;
        receive(&mut self.stream, &mut self.received).await
    }

    /// The last response's body.
    pub fn body(&self, head: Head) -> &[u8] {
        self.received.get(head.head_bytes..).unwrap_or_default()
    }

    /// The beginning of the last response's body, for messages.
    pub fn quoted_body(&self, head: Head) -> String {
        let body = self.body(head);
        String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES)]).into_owned()
    }
}

/// Sends a request over the connection, or over a new one if there is none, and says how long it
/// took. A connection that fails is not used again, because nobody knows what would come over it
/// next.
///
/// # Errors
/// Nobody listens, nothing comes within [`STALL`], or what comes is no response.
pub async fn exchange_on(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &[u8],
) -> Result<(Duration, Head)> {
    let mut kept = match connection.take() {
        Some(kept) => kept,
        None => Connection::open(address).await?,
    };
    let began = Instant::now();
    let head = tokio::time::timeout(STALL, kept.exchange(request))
        .await
        .with_context(|| format!("not answered within {} s", STALL.as_secs()))??;
    let latency = began.elapsed();
    *connection = Some(kept);
    Ok((latency, head))
}

/// Reads one response into `received`, which then holds it and nothing else.
async fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<Head> {
    received.clear();
    let mut head = None;
    loop {
        let read_bytes = stream.read_buf(received).await?;
        ensure!(read_bytes > 0, "the server closed the connection");
        if head.is_none() {
            head = read_head(received)?;
        }
        let Some(head) = head else { continue };
        let wanted_bytes = head.head_bytes + head.body_bytes;
        ensure!(
            received.len() <= wanted_bytes,
            "a response is longer than its content-length"
        );
        if received.len() == wanted_bytes {
            return Ok(head);
        }
    }
}

/// How long this thread has computed so far.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
