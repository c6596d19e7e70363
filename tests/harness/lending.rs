//! Hosts that one test after the other borrows.
//!
//! A test has its host to itself while it runs, so it may count rows before and after what it
//! does. But it finds what earlier tests left: it acts on people and organizations of its own,
//! and does not look at what belongs to the whole platform. A test that fails takes its host
//! with it, so no other test suffers from what it left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Runtime;

use crate::host::{Settings, TestHost, new_runtime, stop_runtime};
use crate::times::Stopwatch;

/// So many tests use one host, then it is given up: its database grows with every test, and the
/// checks that follow each test read all of it.
const TESTS_PER_HOST: usize = 40;

/// A host that waits for the next test. Its tasks and its connections live on its own runtime.
struct IdleHost {
    host: TestHost,
    runtime: Runtime,
    tests: usize,
}

/// There are at most as many as tests ran at once.
static IDLE: Mutex<Vec<IdleHost>> = Mutex::new(Vec::new());

fn idle_hosts() -> std::sync::MutexGuard<'static, Vec<IdleHost>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test on a host that earlier tests have used, then checks that the books are sound.
pub fn run_on_lent_host(test: impl AsyncFnOnce(&TestHost)) {
    let mut stopwatch = Stopwatch::start();
    let taken = idle_hosts().pop();
    let mut lent = taken.unwrap_or_else(|| {
        let runtime = new_runtime();
        IdleHost {
            host: runtime.block_on(TestHost::start(Settings::pooled())),
            runtime,
            tests: 0,
        }
    });
    lent.tests += 1;
    lent.host.begin_test();
    stopwatch.host_is_ready();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        lent.runtime.block_on(test(&lent.host));
        stopwatch.test_has_ended();
        lent.runtime.block_on(lent.host.assert_books_are_sound());
    }));
    let IdleHost {
        host,
        runtime,
        tests,
    } = lent;
    match outcome {
        Ok(()) if tests < TESTS_PER_HOST => idle_hosts().push(IdleHost {
            host,
            runtime,
            tests,
        }),
        Ok(()) => {
            runtime.block_on(host.remove());
            stop_runtime(runtime);
        }
        Err(panic) => {
            host.print_log();
            drop(host);
            stop_runtime(runtime);
            resume_unwind(panic);
        }
    }
    stopwatch.finish("lent");
}
