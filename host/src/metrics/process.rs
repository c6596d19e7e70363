//! What the system tells of this process. Where there is no `/proc`, it tells nothing.

use std::fs;

use shared::metrics::write_metric;

use super::descriptions::{CPU_TIME, OPEN_FILES, RESIDENT_MEMORY};

/// Ticks of a second in `/proc`, which are the same on every machine that has it.
const TICKS_PER_SECOND: u64 = 100;

/// What the process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProcessFigures {
    resident_bytes: Option<u64>,
    cpu_ticks: Option<u64>,
    open_files: Option<u64>,
}

impl ProcessFigures {
    /// What it uses now.
    pub(crate) fn read() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        let files = fs::read_dir("/proc/self/fd").ok();
        Self {
            resident_bytes: text("status").and_then(|status| resident_bytes(&status)),
            cpu_ticks: text("stat").and_then(|stat| cpu_ticks(&stat)),
            // Reading the folder takes one itself.
            open_files: files.map(|files| (files.count() as u64).saturating_sub(1)),
        }
    }

    /// Adds it to a text.
    pub(super) fn write(self, text: &mut String) {
        let cpu_seconds = self.cpu_ticks.map(|ticks| {
            let hundredths = ticks % TICKS_PER_SECOND;
            format!("{}.{hundredths:02}", ticks / TICKS_PER_SECOND)
        });
        write_metric(text, &RESIDENT_MEMORY, sample(self.resident_bytes));
        write_metric(text, &CPU_TIME, sample(cpu_seconds));
        write_metric(text, &OPEN_FILES, sample(self.open_files));
    }
}

/// A sample without labels, of what is known.
fn sample<V>(value: Option<V>) -> Option<(&'static [(&'static str, &'static str)], V)> {
    value.map(|value| (&[][..], value))
}

/// The resident memory that `/proc/self/status` has, in KiB there.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

/// The time in the program and in the system that `/proc/self/stat` has. The program's name, in
/// parentheses, may have spaces; these are the twelfth and thirteenth fields after it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system_are_read() {
        for (status, expected) in [
            (
                "Name:\tx\nVmRSS:\t  2048 kB\nThreads:\t1\n",
                Some(2_097_152),
            ),
            ("VmRSS:\t2048 MB\n", None),
            ("Name:\tx\n", None),
        ] {
            assert_eq!(resident_bytes(status), expected, "{status:?}");
        }
        for (stat, expected) in [
            ("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0", Some(42)),
            ("7 (a) S 1 2", None),
            ("", None),
        ] {
            assert_eq!(cpu_ticks(stat), expected, "{stat:?}");
        }
    }

    #[test]
    fn the_text_has_what_is_known() {
        let mut text = String::new();
        ProcessFigures::default().write(&mut text);
        assert_eq!(text, "", "nothing is known");
        let figures = ProcessFigures {
            resident_bytes: Some(4_096),
            cpu_ticks: Some(1_207),
            open_files: Some(9),
        };
        figures.write(&mut text);
        for line in [
            "process_resident_memory_bytes 4096",
            "process_cpu_seconds_total 12.07",
            "process_open_fds 9",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}:\n{text}");
        }
    }
}
