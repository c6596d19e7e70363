//! One instance and its life: it takes requests, and ends when it is used up, idle or broken.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use wasmtime::component::Accessor;
use wasmtime::{Engine, Store};

use crate::imports::instance::{ComponentContext, InstanceState, Place};
use crate::metrics::{ComponentMetrics, InstanceEnd};
use crate::runtime::dispatcher::{Job, Seat};
use crate::runtime::handler::{Handler, HandlerExport, HandlerPre};
use crate::runtime::lifecycle::{Lifecycle, Phase, SignalWaker};

/// Requests an instance takes before it lets the tasks of its thread run: their connections wait
/// to send the answers. At some 50 microseconds each, eight are less than half a millisecond.
const REQUESTS_PER_TURN: usize = 8;

/// How much one instance is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceReuse {
    /// Requests until an instance ends, at least 1.
    pub max_requests: usize,
    /// Requests an instance works on at once, at least 1; it takes another one only while those
    /// it has wait for something.
    pub max_concurrent: usize,
    /// How long an instance without work is kept.
    pub idle_timeout: Duration,
}

impl Default for InstanceReuse {
    fn default() -> Self {
        Self {
            // Spin's 128 is there to bound what a guest can leak. Locally the components are
            // one's own, and creating an instance costs as much as several cached requests.
            max_requests: 10_000,
            max_concurrent: 16,
            // Spin's second would make every pause of a developer end in a fresh instance.
            idle_timeout: Duration::from_secs(10),
        }
    }
}

/// What it takes to create instances of one component.
pub(crate) struct ComponentWorkers {
    pub(crate) engine: Engine,
    pub(crate) pre: HandlerPre,
    pub(crate) component: Arc<ComponentContext>,
    pub(crate) reuse: InstanceReuse,
    pub(crate) export: HandlerExport,
    /// Places in the allocator.
    pub(crate) slots: Arc<Semaphore>,
    /// For a component that calls others: the places that such may take.
    pub(crate) chaining_slots: Option<Arc<Semaphore>>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) metrics: ComponentMetrics,
}

impl ComponentWorkers {
    async fn instantiate(&self) -> wasmtime::Result<(Store<InstanceState>, Handler)> {
        let chaining = match &self.chaining_slots {
            Some(slots) => Some(self.acquire(slots).await?),
            None => None,
        };
        let place = Place {
            _slot: self.acquire(&self.slots).await?,
            _chaining: chaining,
        };
        let guard = self.lifecycle.enter();
        let state = InstanceState::new(&self.component, place, guard)?;
        let mut store = Store::new(&self.engine, state);
        let handler = self.pre.instantiate(&mut store, self.export).await?;
        Ok((store, handler))
    }

    async fn acquire(&self, slots: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, AcquireError> {
        match Arc::clone(slots).try_acquire_owned() {
            Ok(slot) => Ok(slot),
            Err(_) => {
                // Idle instances end when they see that nothing is free.
                self.lifecycle.signal();
                Arc::clone(slots).acquire_owned().await
            }
        }
    }

    fn report(&self, error: &wasmtime::Error) {
        let log = &self.component.services.log;
        let text = format!("the instance failed: {error:#}");
        log.text(&self.component.id, &text);
    }
}

/// What the part of a worker inside the instance's event loop tells the part outside.
struct Shown {
    /// Since when the instance has had nothing to do.
    idle_since: Mutex<Option<Instant>>,
    /// Whether a request of the instance is not answered yet.
    owes_answers: AtomicBool,
    /// Whether all requests of the instance wait for something. A request that was just taken is
    /// assumed to compute, until the event loop has nothing left to do.
    requests_wait: AtomicBool,
    /// Requests the instance may still take before it lets other tasks run.
    turn: AtomicUsize,
}

impl Shown {
    fn set_idle(&self, idle: bool) {
        let mut since = self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (idle, since.is_some()) {
            (true, false) => *since = Some(Instant::now()),
            (false, true) => *since = None,
            (true, true) | (false, false) => {}
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        *self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates an instance and has it work until it ends.
pub(crate) async fn run(mut seat: Seat) {
    seat.starts();
    let shared = Arc::clone(&seat.shared);
    let workers = &shared.workers;
    let (mut store, handler) = match workers.instantiate().await {
        Ok(created) => created,
        Err(error) => {
            // Whoever waits at the front learns why. The next one gets another try, because this
            // worker's seat is free again.
            match seat.take() {
                Some(job) => drop(job.reply.send(Err(error))),
                None => workers.report(&error),
            }
            return;
        }
    };
    let mut counted = workers.metrics.instance_starts();
    let shown = Shown {
        idle_since: Mutex::new(None),
        owes_answers: AtomicBool::new(false),
        requests_wait: AtomicBool::new(true),
        turn: AtomicUsize::new(0),
    };
    let mut expiration = Expiration {
        idle_timeout: workers.reuse.idle_timeout,
        sleep: Box::pin(tokio::time::sleep(workers.reuse.idle_timeout)),
        slots: Arc::clone(&workers.slots),
        chaining_slots: workers.chaining_slots.clone(),
        signal: SignalWaker::new(Arc::clone(&workers.lifecycle)),
    };
    let ended = {
        let seat = Mutex::new(&mut seat);
        let working = store.run_concurrent(async |accessor| {
            work(accessor, &handler, &seat, &shown, workers.reuse).await
        });
        let mut working = pin!(working);
        poll_fn(|cx| {
            with_seat(&seat, |seat| seat.wakes());
            shown.turn.store(REQUESTS_PER_TURN, Ordering::Relaxed);
            loop {
                if let Poll::Ready(ended) = working.as_mut().poll(cx) {
                    let ended = ended.and_then(|ended| ended);
                    return Poll::Ready(ended.map(|()| InstanceEnd::UsedUp));
                }
                // A request that was just taken has got to where it waits: now the instance may
                // take another.
                if shown.requests_wait.swap(true, Ordering::Relaxed) {
                    break;
                }
            }
            if shown.turn.load(Ordering::Relaxed) == 0 {
                // The answers so far must get out before more requests come in.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let owes_answers = shown.owes_answers.load(Ordering::Relaxed);
            if expiration
                .poll(cx, shown.idle_since(), owes_answers)
                .is_ready()
            {
                return Poll::Ready(Ok(InstanceEnd::Idle));
            }
            with_seat(&seat, |seat| seat.sleeps());
            Poll::Pending
        })
        .await
    };
    match ended {
        Ok(end) => counted.ends(end),
        Err(error) => workers.report(&error),
    }
    // The instance's place is free before another worker can ask for it.
    drop(store);
    drop(counted);
    drop(seat);
}

/// The seat is used inside and outside of the event loop, never at the same time.
fn with_seat<R>(seat: &Mutex<&mut Seat>, use_seat: impl FnOnce(&mut Seat) -> R) -> R {
    use_seat(&mut seat.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Takes requests and drives them until the instance is used up.
async fn work(
    accessor: &Accessor<InstanceState>,
    handler: &Handler,
    seat: &Mutex<&mut Seat>,
    shown: &Shown,
    reuse: InstanceReuse,
) -> wasmtime::Result<()> {
    let func = handler.func();
    let mut taken = 0;
    let mut in_flight = FuturesUnordered::new();
    poll_fn(|cx| {
        loop {
            while let Poll::Ready(Some(finished)) = in_flight.poll_next_unpin(cx) {
                // Only a trap is an error here, and a trap is the end of the instance.
                if let Err(error) = finished {
                    return Poll::Ready(Err(error));
                }
            }
            let used_up = taken >= reuse.max_requests;
            let has_room = !used_up
                && shown.turn.load(Ordering::Relaxed) > 0
                && in_flight.len() < reuse.max_concurrent
                && (in_flight.is_empty() || shown.requests_wait.load(Ordering::Relaxed))
                && accessor.poll_ready_for_concurrent_call(func, cx).is_ready();
            if has_room {
                if let Some(job) = with_seat(seat, |seat| seat.take_or_wait(cx)) {
                    taken += 1;
                    shown.turn.fetch_sub(1, Ordering::Relaxed);
                    shown.requests_wait.store(false, Ordering::Relaxed);
                    shown.set_idle(false);
                    in_flight.push(answer(accessor, handler, job));
                    continue;
                }
            } else {
                with_seat(seat, |seat| seat.decline());
            }
            shown
                .owes_answers
                .store(!in_flight.is_empty(), Ordering::Relaxed);
            // Work a component goes on with after its answer is part of its life too.
            if !in_flight.is_empty() || accessor.poll_no_interesting_tasks(cx).is_pending() {
                return Poll::Pending;
            }
            if used_up {
                return Poll::Ready(Ok(()));
            }
            shown.set_idle(true);
            return Poll::Pending;
        }
    })
    .await
}

/// Has the component answer one request.
///
/// # Errors
/// The component trapped.
async fn answer(
    accessor: &Accessor<InstanceState>,
    handler: &Handler,
    job: Job,
) -> wasmtime::Result<()> {
    let reply = handler.answer(accessor, job.request).await?;
    // The client may have left; its answer is then nobody's.
    drop(job.reply.send(reply));
    Ok(())
}

/// Decides when an instance ends that could go on.
struct Expiration {
    idle_timeout: Duration,
    sleep: Pin<Box<Sleep>>,
    slots: Arc<Semaphore>,
    chaining_slots: Option<Arc<Semaphore>>,
    signal: SignalWaker,
}

impl Expiration {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        idle_since: Option<Instant>,
        owes_answers: bool,
    ) -> Poll<()> {
        match (self.signal.poll_phase(cx), idle_since) {
            (Phase::Stopped, _) => Poll::Ready(()),
            // All connections have ended, so nobody waits for what goes on after the answers.
            (Phase::Draining, _) if !owes_answers => Poll::Ready(()),
            (Phase::Running, Some(since)) => self.poll_idle(cx, since),
            (Phase::Running | Phase::Draining, _) => Poll::Pending,
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        // Someone is waiting for a place and this instance has nothing to do.
        let is_wanted = |slots: &Arc<Semaphore>| slots.available_permits() == 0;
        if is_wanted(&self.slots) || self.chaining_slots.as_ref().is_some_and(is_wanted) {
            return Poll::Ready(());
        }
        let deadline = since + self.idle_timeout;
        // The timer is not moved with every request. It goes off when the oldest deadline it was
        // set for has passed, and is then set for the current one.
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}
