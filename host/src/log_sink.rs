//! Where the host's log lines and what components print go.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// A line longer than this is split: 16 KiB hold any sensible line, and bound what a component
/// that never prints a line end can make the host keep.
const MAX_LINE_BYTES: usize = 16 * 1024;

type Write = dyn Fn(&str, &str) + Send + Sync;

/// Receives each log line with the id of the component it is about.
#[derive(Clone)]
pub struct LogSink(Arc<Write>);

impl LogSink {
    /// Lines go to the process's standard error as `[component] line`.
    pub fn stderr() -> Self {
        Self::to(|component, line| write_to_stderr(format!("[{component}] {line}")))
    }

    /// Lines go to the process's standard error, each an object of JSON.
    pub fn json() -> Self {
        Self::to(|component, line| {
            let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            write_to_stderr(json_line(component, line, &time).into_owned());
        })
    }

    /// Lines go to `write` as (component id, line).
    pub fn to(write: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Lines are kept, as `[component] line`, for a test to read.
    pub fn capture() -> (Self, CapturedLog) {
        let log = CapturedLog::default();
        let lines = Arc::clone(&log.0);
        let sink = Self::to(move |component, line| {
            lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("[{component}] {line}"));
        });
        (sink, log)
    }

    /// Writes one line.
    pub fn line(&self, component: &str, line: &str) {
        (self.0)(component, line);
    }

    /// Writes each line of a text, such as an error with the calls that led to it.
    pub fn text(&self, component: &str, text: &str) {
        for line in text.lines() {
            self.line(component, line);
        }
    }
}

/// Writes a line at once: standard error has no buffer, and each piece would be a call of the system.
fn write_to_stderr(mut line: String) {
    line.push('\n');
    // A closed standard error must not stop the server.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// A line as an object of JSON with at least the members `time`, `component` and `message` or what
/// the line has of them itself: most lines of components are such objects already.
fn json_line<'a>(component: &str, line: &'a str, time: &str) -> Cow<'a, str> {
    // A request's line, which begins with its time and is written for every request.
    if line.starts_with("{\"time\":") {
        return Cow::Borrowed(line);
    }
    let mut members = match serde_json::from_str(line) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::from_iter([("message".to_owned(), line.into())]),
    };
    members.entry("time").or_insert_with(|| time.into());
    members
        .entry("component")
        .or_insert_with(|| component.into());
    Cow::Owned(Value::Object(members).to_string())
}

impl Default for LogSink {
    fn default() -> Self {
        Self::stderr()
    }
}

impl std::fmt::Debug for LogSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogSink")
    }
}

/// The lines a capturing sink has received.
#[derive(Debug, Clone, Default)]
pub struct CapturedLog(Arc<Mutex<Vec<String>>>);

impl CapturedLog {
    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A component's standard output or error: complete lines go to the sink.
#[derive(Clone)]
pub(crate) struct ComponentOutput {
    component: Arc<str>,
    sink: LogSink,
    /// All streams of one instance share it.
    pending: Arc<Mutex<Pending>>,
}

struct Pending {
    /// The line that has no end yet.
    line: Vec<u8>,
    /// How much may still be written.
    bytes_left: usize,
}

impl ComponentOutput {
    pub(crate) fn new(component: Arc<str>, sink: LogSink) -> Self {
        Self::limited(component, sink, usize::MAX)
    }

    /// The same, but what comes after `max_bytes` is dropped.
    pub(crate) fn limited(component: Arc<str>, sink: LogSink, max_bytes: usize) -> Self {
        Self {
            component,
            sink,
            pending: Arc::new(Mutex::new(Pending {
                line: Vec::new(),
                bytes_left: max_bytes,
            })),
        }
    }

    fn push(&self, bytes: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let Pending {
            line: pending,
            bytes_left,
        } = &mut *pending;
        if *bytes_left == 0 {
            return;
        }
        let kept = bytes.get(..*bytes_left).unwrap_or(bytes);
        *bytes_left -= kept.len();
        for piece in kept.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    pending.extend_from_slice(end);
                    self.emit(pending);
                }
                None => {
                    pending.extend_from_slice(piece);
                    if pending.len() >= MAX_LINE_BYTES {
                        self.emit(pending);
                    }
                }
            }
        }
        if *bytes_left == 0 {
            if !pending.is_empty() {
                self.emit(pending);
            }
            self.sink
                .line(&self.component, "it prints too much: the rest is dropped");
        }
    }

    fn emit(&self, pending: &mut Vec<u8>) {
        let line = String::from_utf8_lossy(pending);
        self.sink.line(&self.component, line.trim_end_matches('\r'));
        pending.clear();
    }
}

impl Drop for ComponentOutput {
    fn drop(&mut self) {
        // The last holder prints what the component left without a line end, so that the message
        // of a panic is never lost.
        if Arc::strong_count(&self.pending) == 1 {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if !pending.line.is_empty() {
                self.emit(&mut pending.line);
            }
        }
    }
}

impl IsTerminal for ComponentOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for ComponentOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    // The default would start a task for each stream; a line sink is always ready.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for ComponentOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for ComponentOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for ComponentOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(writes: &[&str], expected: &[&str]) {
        let (sink, log) = LogSink::capture();
        let output = ComponentOutput::new("c".into(), sink);
        for write in writes {
            output.push(write.as_bytes());
        }
        drop(output);
        assert_eq!(log.lines(), expected, "after writing {writes:?}");
    }

    #[test]
    fn lines_become_objects() {
        let time = "2026-11-28T13:00:00.000Z";
        for (line, expected) in [
            (
                "panicked at \"x\"",
                r#"{"component":"c","message":"panicked at \"x\"","time":"2026-11-28T13:00:00.000Z"}"#,
            ),
            (
                r#"{"level":"error","component":"d","message":"m"}"#,
                r#"{"component":"d","level":"error","message":"m","time":"2026-11-28T13:00:00.000Z"}"#,
            ),
            (
                r#"{"time":"t","status":200}"#,
                r#"{"time":"t","status":200}"#,
            ),
            (
                "[1]",
                r#"{"component":"c","message":"[1]","time":"2026-11-28T13:00:00.000Z"}"#,
            ),
            (
                "",
                r#"{"component":"c","message":"","time":"2026-11-28T13:00:00.000Z"}"#,
            ),
        ] {
            assert_eq!(json_line("c", line, time), expected, "{line:?}");
        }
    }

    #[test]
    fn output_arrives_line_by_line() {
        check(&[], &[]);
        check(&["one\n"], &["[c] one"]);
        check(&["o", "ne\ntw", "o\r\n"], &["[c] one", "[c] two"]);
        check(&["\n"], &["[c] "]);
        check(&["no end"], &["[c] no end"]);
    }

    #[test]
    fn too_much_output_is_dropped() {
        for (max_bytes, writes, expected) in [
            (4, vec!["one\n"], vec!["[c] one", "[c] it prints"]),
            (
                5,
                vec!["one\n", "two\n"],
                vec!["[c] one", "[c] t", "[c] it prints"],
            ),
            (2, vec!["one\n", "two\n"], vec!["[c] on", "[c] it prints"]),
            (9, vec!["one\n", "two\n"], vec!["[c] one", "[c] two"]),
        ] {
            let (sink, log) = LogSink::capture();
            let output = ComponentOutput::limited("c".into(), sink, max_bytes);
            for write in &writes {
                output.push(write.as_bytes());
            }
            drop(output);
            let lines = log.lines();
            assert_eq!(
                lines.len(),
                expected.len(),
                "{max_bytes} of {writes:?}: {lines:?}"
            );
            for (line, beginning) in lines.iter().zip(expected) {
                assert!(line.starts_with(beginning), "{line:?} is not {beginning:?}");
            }
        }
    }

    #[test]
    fn an_endless_line_is_split() {
        let (sink, log) = LogSink::capture();
        let output = ComponentOutput::new("c".into(), sink);
        output.push(&vec![b'x'; MAX_LINE_BYTES]);
        assert_eq!(
            log.lines().len(),
            1,
            "a full line must be written out at once"
        );
    }
}
