//! How long each test took, for those who ask by an environment variable.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// The file that gets one line for each test: its name, how its host was had, and the
/// milliseconds until the host was ready, of the test itself, and of the checks after it.
const FILE: &str = "TURNPIKE_TEST_TIMES";

/// Watches one test.
pub struct Stopwatch {
    began: Instant,
    ready: Option<Instant>,
    ended: Option<Instant>,
}

impl Stopwatch {
    /// Begins to watch.
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            ready: None,
            ended: None,
        }
    }

    /// The test begins now.
    pub fn host_is_ready(&mut self) {
        self.ready = Some(Instant::now());
    }

    /// The test has ended, and its checks begin.
    pub fn test_has_ended(&mut self) {
        self.ended = Some(Instant::now());
    }

    /// Everything is over: writes the line if somebody wants it.
    pub fn finish(self, host: &str) {
        let Some(path) = std::env::var_os(FILE) else {
            return;
        };
        let now = Instant::now();
        let ready = self.ready.unwrap_or(now);
        let ended = self.ended.unwrap_or(now);
        let thread = std::thread::current();
        let line = format!(
            "{}\t{host}\t{}\t{}\t{}\n",
            thread.name().unwrap_or("main"),
            millis(ready - self.began),
            millis(ended - ready),
            millis(now - ended),
        );
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path);
        // One write for each line, so that the lines of tests that run at once do not mix.
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            panic!("{FILE} names {}: {error}", path.display());
        }
    }
}

fn millis(time: Duration) -> u128 {
    time.as_millis()
}
