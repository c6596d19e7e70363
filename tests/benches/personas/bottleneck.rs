//! What held a run back, from what was seen of the processes and of Postgres.

use serde::{Deserialize, Serialize};

/// A machine that computes for more of the time has nothing left to give.
const BUSY_PERCENT: f64 = 90.0;

/// A generator that computes for more of the time may be what was measured.
const GENERATOR_BUSY_PERCENT: f64 = 90.0;

/// A pool of which more is in use on average has requests waiting for it.
const POOL_PERCENT: f64 = 90.0;

/// When more of the sessions that do something wait for a lock, they wait for each other.
const LOCKS_PERCENT: f64 = 50.0;

/// What was seen on average while it was measured; what is not known is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Processor cores of the machine.
    pub cores: usize,
    /// The share of the time that the cores computed.
    pub busy_percent: Option<f64>,
    /// Cores that the hosts kept busy.
    pub host_cores: Option<f64>,
    /// Cores that Postgres kept busy.
    pub postgres_cores: Option<f64>,
    /// The share of the time that the thread of the load computed.
    pub generator_busy_percent: f64,
    /// Connections that the hosts may have to Postgres, all together.
    pub pool_connections: usize,
    /// Sessions of Postgres that ran a statement.
    pub active_sessions: Option<f64>,
    /// Of those, the ones that waited for a lock.
    pub locked_sessions: Option<f64>,
}

/// Names what held the run back, in a sentence.
pub fn name(seen: &Seen) -> String {
    let locked = seen.locked_sessions.unwrap_or_default();
    let active = seen.active_sessions.unwrap_or_default();
    if active >= 1.0 && 100.0 * locked >= LOCKS_PERCENT * active {
        return format!(
            "locks: {locked:.1} of {active:.1} sessions that ran a statement waited for a row"
        );
    }
    if seen.generator_busy_percent > GENERATOR_BUSY_PERCENT {
        return format!(
            "the load generator: its thread computed for {:.0}% of the time",
            seen.generator_busy_percent
        );
    }
    if let Some(busy) = seen.busy_percent.filter(|busy| *busy >= BUSY_PERCENT) {
        let shares = shares(seen);
        return format!(
            "the processor: {} cores were busy for {busy:.0}% of the time{shares}",
            seen.cores
        );
    }
    if 100.0 * active >= POOL_PERCENT * seen.pool_connections as f64 && seen.pool_connections > 0 {
        return format!(
            "the pool: {active:.1} of {} connections to Postgres ran a statement",
            seen.pool_connections
        );
    }
    match seen.busy_percent {
        Some(busy) => format!(
            "nothing of the machine: its {} cores were busy for {busy:.0}% of the time{}; users \
             paused, or waited for the disk",
            seen.cores,
            shares(seen)
        ),
        None => "not known: this system has no /proc".to_owned(),
    }
}

/// Who used the processor, most first.
fn shares(seen: &Seen) -> String {
    let mut users: Vec<(&str, f64)> = [
        ("Postgres", seen.postgres_cores),
        ("the hosts", seen.host_cores),
        ("the load", Some(seen.generator_busy_percent / 100.0)),
    ]
    .into_iter()
    .filter_map(|(name, cores)| Some((name, cores?)))
    .collect();
    users.sort_by(|one, other| other.1.total_cmp(&one.1));
    let named: Vec<String> = users
        .iter()
        .map(|(name, cores)| format!("{name} {cores:.2}"))
        .collect();
    format!(" ({} cores)", named.join(", "))
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
    fn bottlenecks() {
        let idle = Seen {
            cores: 2,
            busy_percent: Some(40.0),
            host_cores: Some(0.5),
            postgres_cores: Some(0.2),
            generator_busy_percent: 10.0,
            pool_connections: 32,
            active_sessions: Some(1.0),
            locked_sessions: Some(0.0),
        };
        for (seen, expected) in [
            (
                idle,
                "nothing of the machine: its 2 cores were busy for 40%",
            ),
            (
                Seen {
                    busy_percent: Some(97.0),
                    postgres_cores: Some(1.1),
                    ..idle
                },
                "the processor: 2 cores were busy for 97% of the time (Postgres 1.10, the hosts 0.50, the load 0.10 cores)",
            ),
            (
                Seen {
                    busy_percent: Some(97.0),
                    generator_busy_percent: 95.0,
                    ..idle
                },
                "the load generator",
            ),
            (
                Seen {
                    active_sessions: Some(30.0),
                    ..idle
                },
                "the pool: 30.0 of 32",
            ),
            (
                Seen {
                    active_sessions: Some(30.0),
                    locked_sessions: Some(29.0),
                    ..idle
                },
                "locks: 29.0 of 30.0",
            ),
            (
                Seen {
                    cores: 2,
                    ..Seen::default()
                },
                "not known",
            ),
        ] {
            let text = name(&seen);
            assert!(text.starts_with(expected), "{text:?}, and not {expected:?}");
        }
    }
}
