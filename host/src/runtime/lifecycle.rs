//! When a host's instances have to end, and how many there still are.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::Context;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// How far a host is on its way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Serving.
    Running = 0,
    /// Instances end as soon as they owe no answer.
    Draining = 1,
    /// All instances end at once.
    Stopped = 2,
}

/// Shared by a host and its instances.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    phase: AtomicU8,
    /// How often all instances were told to look at their state again.
    signals: AtomicUsize,
    signalled: Arc<Notify>,
    instances: AtomicUsize,
    no_instances: Notify,
}

impl Lifecycle {
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }

    /// Goes on to `phase`, never back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
        self.signal();
    }

    /// Wakes every instance, so that it decides again whether to end.
    pub(crate) fn signal(&self) {
        self.signals.fetch_add(1, Ordering::SeqCst);
        self.signalled.notify_waiters();
    }

    /// Counts an instance until the guard goes.
    pub(crate) fn enter(self: &Arc<Self>) -> InstanceGuard {
        self.instances.fetch_add(1, Ordering::SeqCst);
        InstanceGuard(Arc::clone(self))
    }

    /// How many instances there are.
    pub(crate) fn instances(&self) -> usize {
        self.instances.load(Ordering::SeqCst)
    }

    /// Waits until there is no instance.
    pub(crate) async fn no_instances(&self) {
        loop {
            let notified = self.no_instances.notified();
            if self.instances() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One instance in the count.
#[derive(Debug)]
pub(crate) struct InstanceGuard(Arc<Lifecycle>);

impl Drop for InstanceGuard {
    fn drop(&mut self) {
        if self.0.instances.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.no_instances.notify_waiters();
        }
    }
}

/// Wakes one instance's task when the lifecycle signals.
#[derive(Debug)]
pub(crate) struct SignalWaker {
    lifecycle: Arc<Lifecycle>,
    /// The signal count at the registration below.
    seen: usize,
    registration: Option<Pin<Box<OwnedNotified>>>,
}

impl SignalWaker {
    pub(crate) fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self {
            lifecycle,
            seen: 0,
            registration: None,
        }
    }

    /// The phase; the task is woken at the next signal.
    ///
    /// This is called for every request and so registers only after a signal: the waker is
    /// always the same task's.
    pub(crate) fn poll_phase(&mut self, cx: &mut Context<'_>) -> Phase {
        while self.registration.is_none()
            || self.seen != self.lifecycle.signals.load(Ordering::SeqCst)
        {
            self.seen = self.lifecycle.signals.load(Ordering::SeqCst);
            let notify = Arc::clone(&self.lifecycle.signalled);
            let mut registration = Box::pin(notify.notified_owned());
            let _ = registration.as_mut().poll(cx);
            self.registration = Some(registration);
            // A signal between the count and the registration shows in the loop's condition.
        }
        self.lifecycle.phase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    #[tokio::test]
    async fn waits_for_the_last_instance() {
        let lifecycle = Arc::new(Lifecycle::default());
        lifecycle.no_instances().await;
        let guard = lifecycle.enter();
        let waiting = tokio::time::timeout(Duration::from_millis(10), lifecycle.no_instances());
        assert!(waiting.await.is_err(), "an instance is left: keep waiting");
        drop(guard);
        lifecycle.no_instances().await;
    }

    #[test]
    fn phases_never_go_back() {
        let lifecycle = Lifecycle::default();
        assert_eq!(lifecycle.phase(), Phase::Running);
        lifecycle.advance(Phase::Stopped);
        lifecycle.advance(Phase::Draining);
        assert_eq!(lifecycle.phase(), Phase::Stopped);
    }

    #[tokio::test]
    async fn every_signal_wakes() {
        let lifecycle = Arc::new(Lifecycle::default());
        let mut waker = SignalWaker::new(Arc::clone(&lifecycle));
        let waiting = tokio::spawn(async move {
            poll_fn(|cx| match waker.poll_phase(cx) {
                Phase::Stopped => Poll::Ready(()),
                Phase::Running | Phase::Draining => Poll::Pending,
            })
            .await;
        });
        for _ in 0..3 {
            tokio::task::yield_now().await;
            lifecycle.signal();
        }
        lifecycle.advance(Phase::Draining);
        tokio::task::yield_now().await;
        lifecycle.advance(Phase::Stopped);
        let ended = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert!(
            ended.is_ok(),
            "the task must be woken by each signal, not only the first"
        );
    }
}
