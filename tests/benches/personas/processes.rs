//! What the processes of a run use, as Linux tells in `/proc`; elsewhere nothing is known.

use std::collections::BTreeSet;
use std::fs;

/// Ticks of the processor times in `/proc`: a second has 100 on every architecture that Rust and
/// Postgres run on, whatever the kernel's own clock does.
const TICKS_PER_SEC: f64 = 100.0;

/// Bytes of a page in `/proc/<pid>/statm`, on the architectures that Turnpike is run on.
const PAGE_BYTES: u64 = 4_096;

/// What a process has used since it began, with its children that have ended.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    parent: u32,
    cpu_secs: f64,
}

/// Reads a line of `/proc/<pid>/stat`; see `man 5 proc_pid_stat`. The program's name is in
/// parentheses, and may have some itself.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The state is field 3 of the page, and the first here.
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let cpu_ticks = ticks(14)? + ticks(15)? + ticks(16)? + ticks(17)?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        cpu_secs: cpu_ticks / TICKS_PER_SEC,
    })
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Seconds that the processes have computed so far, with their children that have ended.
pub fn cpu_secs(pids: &[u32]) -> Option<f64> {
    let times: Option<Vec<f64>> = pids
        .iter()
        .map(|pid| stat(*pid).map(|stat| stat.cpu_secs))
        .collect();
    times.map(|times| times.iter().sum())
}

/// Seconds that a process and its children have computed so far. Who ends meanwhile is the
/// parent's from then on, so the sum never falls by more than the kernel's rounding.
pub fn family_cpu_secs(parent: u32) -> Option<f64> {
    let own = stat(parent)?.cpu_secs;
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let children = pids.filter_map(stat).filter(|stat| stat.parent == parent);
    Some(own + children.map(|stat| stat.cpu_secs).sum::<f64>())
}

/// The process that started another.
pub fn parent_of(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

/// Memory that the processes hold, in bytes.
pub fn resident_bytes(pids: &[u32]) -> Option<u64> {
    let of = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        Some(parse_resident_pages(&text)? * PAGE_BYTES)
    };
    pids.iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(of)
        .sum()
}

fn parse_resident_pages(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
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
    fn stats() {
        let after = "S 41 1 1 0 -1 0 0 0 0 0 100 50 25 25 20 0 1 0 9 0 0";
        for (text, expected) in [
            (format!("42 (postgres) {after}"), Some((41, 2.0))),
            (format!("42 (a (b) c) {after}"), Some((41, 2.0))),
            ("42 (postgres) S 41 1".to_owned(), None),
            (String::new(), None),
        ] {
            let got = parse_stat(&text).map(|stat| (stat.parent, stat.cpu_secs));
            assert_eq!(got, expected, "{text:?}");
        }
        for (text, expected) in [("100 42 3 1 0 9 0", Some(42)), ("100", None), ("", None)] {
            assert_eq!(parse_resident_pages(text), expected, "{text:?}");
        }
    }

    #[test]
    fn this_process_is_seen_where_linux_is() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let own = std::process::id();
        // Before the family's, because it grows meanwhile.
        let alone = cpu_secs(&[own]);
        assert!(alone.is_some(), "its processor time");
        assert!(family_cpu_secs(own) >= alone, "with its children");
        assert!(resident_bytes(&[own]) > Some(100_000), "its memory");
        assert_eq!(cpu_secs(&[own, u32::MAX]), None, "nobody has that number");
        assert!(parent_of(own).is_some(), "the process that started it");
    }
}
