//! Whether the machine has other work to do, which a benchmark cannot tell from a slow server.

use std::time::Duration;

/// How long the machine is watched before and after each measurement, while nothing of ours should run:
/// long enough for thirty of the kernel's usual 10 ms ticks on each core.
const WATCHED: Duration = Duration::from_millis(300);

/// How busy the machine is by itself, in percent of all its cores; `None` where the kernel does
/// not say, which is everywhere but on Linux.
pub async fn busy_percent() -> Option<f64> {
    let before = read_times()?;
    tokio::time::sleep(WATCHED).await;
    busy_share(before, read_times()?).map(|share| 100.0 * share)
}

/// The ticks until now.
pub fn read_times() -> Option<Times> {
    parse_times(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Ticks since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    all: u64,
    idle: u64,
}

/// The first line of `/proc/stat`: user, nice, system, idle, waiting for the disk, and more of
/// busy; see `man 5 proc_stat`. The last two, for guests, are part of the first two already.
fn parse_times(text: &str) -> Option<Times> {
    let ticks: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    Some(Times {
        all: ticks.iter().sum(),
        idle: ticks.get(3)? + ticks.get(4)?,
    })
}

/// The share of the time between both that any core computed.
pub fn busy_share(before: Times, after: Times) -> Option<f64> {
    let all = after.all.checked_sub(before.all)?;
    // The kernel admits that its count of waiting may go down.
    let idle = after.idle.saturating_sub(before.idle).min(all);
    (all > 0).then(|| (all - idle) as f64 / all as f64)
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("cpu  1 2 3 40 5 6 7 8 9 10\ncpu0 1", Some((72, 45))),
            ("cpu  1 2 3 40 5", Some((51, 45))),
            ("cpu  1 2 3", None),
            ("cpu  1 2 x 40 5", None),
            ("intr 1 2 3 4 5", None),
            ("", None),
        ] {
            let got = parse_times(text).map(|times| (times.all, times.idle));
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn shares() {
        let at = |all, idle| Times { all, idle };
        for (before, after, expected) in [
            (at(0, 0), at(100, 75), Some(0.25)),
            (at(100, 75), at(200, 175), Some(0.0)),
            (at(100, 75), at(100, 75), None),
            (at(100, 75), at(200, 74), Some(1.0)),
            (at(100, 75), at(99, 75), None),
        ] {
            assert_eq!(
                busy_share(before, after),
                expected,
                "{before:?} to {after:?}"
            );
        }
    }
}
