//! Looks at other processes by their id, through `/proc` where there is one and `ps` elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Whether a process runs. One that has ended but was not collected by its parent does not.
pub(super) fn is_alive(pid: u32) -> bool {
    let Some(id) = raw(pid) else { return false };
    // A refusal by permission still means that the process exists.
    if test_kill_process(id).is_err_and(|error| error == rustix::io::Errno::SRCH) {
        return false;
    }
    match state(pid) {
        Some(state) => !matches!(state, 'Z' | 'X'),
        None => !has_proc(),
    }
}

/// The command line of a process, its arguments separated by blanks.
pub(super) fn arguments(pid: u32) -> Option<String> {
    if has_proc() {
        let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&raw).replace('\0', " ");
        return Some(text.trim_end().to_owned());
    }
    ps(&["-ww", "-o", "args=", "-p", &pid.to_string()])
}

/// The direct children of a process.
pub(super) fn children(parent: u32) -> Vec<u32> {
    if has_proc() {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        return entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| proc_stat(*pid).is_some_and(|(_, ppid)| ppid == parent))
            .collect();
    }
    ps(&["-A", "-o", "pid=,ppid="])
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::parse::<u32>);
            let pid = fields.next()?.ok()?;
            (fields.next()?.ok()? == parent).then_some(pid)
        })
        .collect()
}

/// Sends a signal; a process that is gone already is no error.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn state(pid: u32) -> Option<char> {
    if has_proc() {
        return proc_stat(pid).map(|(state, _)| state);
    }
    ps(&["-o", "stat=", "-p", &pid.to_string()])?
        .trim()
        .chars()
        .next()
}

fn proc_stat(pid: u32) -> Option<(char, u32)> {
    parse_proc_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// State and parent from `/proc/<pid>/stat`. The command between parentheses may itself hold
/// blanks and parentheses, so the fields are counted from the last one.
fn parse_proc_stat(text: &str) -> Option<(char, u32)> {
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn ps(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ps")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_stat_lines() {
        for (text, expected) in [
            ("12 (postgres) S 1 12 12 0", Some(('S', 1))),
            ("12 (a) b) c) Z 77 12", Some(('Z', 77))),
            ("12 (postgres", None),
            ("", None),
        ] {
            assert_eq!(parse_proc_stat(text), expected, "misread {text:?}");
        }
    }

    #[test]
    fn own_process_and_an_ended_child() {
        let own = std::process::id();
        assert!(is_alive(own), "this very process must count as alive");
        let mut child = Command::new("sh")
            .args(["-c", "exit 0"])
            .spawn()
            .expect("sh must be installed");
        // Until it is waited for, the ended child is a zombie: that must not count as alive.
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_alive(child.id()) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "an ended child must not count as alive"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().expect("the child can be waited for");
        assert!(
            !is_alive(child.id()),
            "a collected child must not count as alive"
        );
        let mut sleeper = Command::new("sleep")
            .arg("30")
            .spawn()
            .expect("sleep must be installed");
        assert!(
            children(own).contains(&sleeper.id()),
            "a running child must be listed"
        );
        signal(sleeper.id(), Signal::KILL);
        sleeper.wait().expect("the child can be waited for");
    }
}
