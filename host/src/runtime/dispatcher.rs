//! The queue of one component's requests, and how many instances work on it.
//!
//! Requests wait in one queue, and the instance that last ran out of work is asked first: few
//! busy instances keep the processor's caches warm, and those that are not needed reach their
//! idle timeout. Another instance is created only when none can take the request and fewer than
//! the processor can run are computing; an instance that waits for something without being able
//! to take more does not count as computing. So a burst does not turn into as many instances,
//! and slow dependencies do not keep others waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::runtime::handler::RequestBody;
use crate::runtime::response_body::ResponseBody;
use crate::runtime::worker::{self, ComponentWorkers};

/// What a component made of a request.
pub(crate) type Reply = wasmtime::Result<Response<ResponseBody>>;

/// A request with the place its answer goes to.
pub(crate) struct Job {
    pub(crate) request: Request<RequestBody>,
    pub(crate) reply: oneshot::Sender<Reply>,
    /// Tells the job from the others in the queue.
    number: u64,
}

/// Leads requests to the instances of one component.
#[derive(Clone)]
pub(crate) struct Dispatcher(Arc<Shared>);

/// A dispatcher that ends with its host.
#[derive(Clone)]
pub(crate) struct WeakDispatcher(Weak<Shared>);

impl WeakDispatcher {
    /// The dispatcher, unless the host has gone.
    pub(crate) fn upgrade(&self) -> Option<Dispatcher> {
        self.0.upgrade().map(Dispatcher)
    }
}

pub(crate) struct Shared {
    pub(crate) workers: ComponentWorkers,
    /// Instances that may compute at once.
    max_computing: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Workers that can take a request and sleep, the last to fall asleep on top.
    waiting: Vec<(u64, Waker)>,
    /// Workers that exist.
    workers: usize,
    /// Those among them that wait for something and cannot take a request meanwhile.
    blocked: usize,
    next_id: u64,
    next_job: u64,
}

/// The instance that was to answer trapped or ended.
#[derive(Debug)]
pub(crate) struct InstanceLost;

impl std::fmt::Display for InstanceLost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the instance ended before it answered")
    }
}

impl std::error::Error for InstanceLost {}

/// No instance took the request in time.
#[derive(Debug)]
pub(crate) struct NotTaken;

impl std::fmt::Display for NotTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no instance took it in time: does a component call itself, by way of others?")
    }
}

impl std::error::Error for NotTaken {}

impl Dispatcher {
    pub(crate) fn new(workers: ComponentWorkers, max_computing: usize) -> Self {
        Self(Arc::new(Shared {
            workers,
            max_computing,
            state: Mutex::default(),
        }))
    }

    pub(crate) fn downgrade(&self) -> WeakDispatcher {
        WeakDispatcher(Arc::downgrade(&self.0))
    }

    /// Has a request answered.
    ///
    /// # Errors
    /// The component returned an error, trapped, or could not be instantiated.
    pub(crate) async fn answer(&self, request: Request<RequestBody>) -> Reply {
        let (reply, answered) = oneshot::channel();
        self.submit(request, reply);
        answered.await.map_err(|_| InstanceLost)?
    }

    /// Has a request answered that an instance takes within `patience`.
    ///
    /// # Errors
    /// No instance took it, or as for [`Dispatcher::answer`].
    pub(crate) async fn answer_soon(
        &self,
        request: Request<RequestBody>,
        patience: Duration,
    ) -> Reply {
        let (reply, mut answered) = oneshot::channel();
        let queued = Queued {
            state: &self.0.state,
            number: self.submit(request, reply),
        };
        let answer = match timeout(patience, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if queued.withdraw() => return Err(NotTaken.into()),
            Err(_) => answered.await,
        };
        answer.map_err(|_| InstanceLost)?
    }

    fn submit(&self, request: Request<RequestBody>, reply: oneshot::Sender<Reply>) -> u64 {
        let mut state = self.0.lock();
        let number = state.next_job;
        state.next_job += 1;
        state.queue.push_back(Job {
            request,
            reply,
            number,
        });
        self.0.find_worker(state);
        number
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody comes for a queued request.
    fn find_worker(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if let Some((_, waker)) = state.waiting.pop() {
            drop(state);
            waker.wake();
        } else if state.workers - state.blocked < self.max_computing {
            state.workers += 1;
            let id = state.next_id;
            state.next_id += 1;
            drop(state);
            let seat = Seat {
                shared: Arc::clone(self),
                id,
                started: false,
                accepting: false,
                blocked: false,
            };
            tokio::spawn(worker::run(seat));
        }
        // Otherwise a computing worker takes it when it is done, or asks again when it blocks.
    }
}

/// A job that is taken back when whoever waits for it gives up: callers that have run out of time
/// must not leave a queue behind that the next ones wait for.
struct Queued<'a> {
    state: &'a Mutex<State>,
    number: u64,
}

impl Queued<'_> {
    /// Takes the job back if it is still in the queue.
    fn withdraw(&self) -> bool {
        let job = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let position = state.queue.iter().position(|job| job.number == self.number);
            position.and_then(|position| state.queue.remove(position))
        };
        job.is_some()
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// A worker's part in the dispatching; leaving it makes room for another worker.
pub(crate) struct Seat {
    pub(crate) shared: Arc<Shared>,
    id: u64,
    /// Whether the worker has begun. One that has not when it ends never will: the runtime is
    /// shutting down, and nobody is to take its place.
    started: bool,
    /// Whether the worker would take a request if there were one.
    accepting: bool,
    blocked: bool,
}

impl Seat {
    /// Says that the worker has begun.
    pub(crate) fn starts(&mut self) {
        self.started = true;
    }

    /// The next request.
    pub(crate) fn take(&self) -> Option<Job> {
        self.shared.lock().queue.pop_front()
    }

    /// The next request, or else the worker is woken when there is one.
    pub(crate) fn take_or_wait(&mut self, cx: &mut Context<'_>) -> Option<Job> {
        let mut state = self.shared.lock();
        let job = state.queue.pop_front();
        self.accepting = job.is_none();
        let position = state.waiting.iter().position(|(id, _)| *id == self.id);
        match (&job, position) {
            (Some(_), Some(position)) => drop(state.waiting.remove(position)),
            (None, None) => state.waiting.push((self.id, cx.waker().clone())),
            // Already waiting; the waker is that of the same task.
            (None, Some(_)) | (Some(_), None) => {}
        }
        job
    }

    /// Says that the worker cannot take a request now.
    pub(crate) fn decline(&mut self) {
        // Only a worker that would take a request is among the waiting.
        if !std::mem::take(&mut self.accepting) {
            return;
        }
        let mut state = self.shared.lock();
        if let Some(position) = state.waiting.iter().position(|(id, _)| *id == self.id) {
            state.waiting.remove(position);
        }
    }

    /// Says that the worker sleeps until something it waits for happens. Unless it would take a
    /// request as well, it counts as blocked until [`Seat::wakes`].
    pub(crate) fn sleeps(&mut self) {
        if self.accepting || self.blocked {
            return;
        }
        self.blocked = true;
        let mut state = self.shared.lock();
        state.blocked += 1;
        if !state.queue.is_empty() {
            self.shared.find_worker(state);
        }
    }

    /// Says that the worker goes on.
    pub(crate) fn wakes(&mut self) {
        if std::mem::take(&mut self.blocked) {
            self.shared.lock().blocked -= 1;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.decline();
        let mut state = self.shared.lock();
        state.workers -= 1;
        if self.blocked {
            state.blocked -= 1;
        }
        if self.started && !state.queue.is_empty() {
            self.shared.find_worker(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn whoever_gives_up_takes_the_job_back() {
        for (given_up, left) in [(1, vec![0, 2]), (3, vec![0, 1, 2])] {
            let state = Mutex::new(State::default());
            let mut waiting = Vec::new();
            for number in 0..3 {
                let (reply, answered) = oneshot::channel();
                waiting.push(answered);
                let body = RequestBody::Whole(Bytes::new());
                let job = Job {
                    request: Request::new(body),
                    reply,
                    number,
                };
                state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .queue
                    .push_back(job);
            }
            drop(Queued {
                state: &state,
                number: given_up,
            });
            let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
            let numbers: Vec<u64> = state.queue.iter().map(|job| job.number).collect();
            assert_eq!(numbers, left, "{given_up}");
        }
    }
}
