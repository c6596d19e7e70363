//! Traces of requests in the manner of OpenTelemetry: a span for the host's part of a request, one
//! for its component, and one for each statement, sent to a collector by OTLP over HTTP, as JSON.
//!
//! Nothing is done unless an address was given. Spans that a collector does not take in time are
//! dropped and counted: a trace is never worth a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::http_post::PostAddress;
use crate::metrics::{Metrics, SpanFate};

mod context;

pub(crate) use context::SpanContext;

/// The header that leads from one service to the next (W3C Trace Context).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a collector takes traces, below its address.
const PATH: &str = "/v1/traces";

/// Spans that wait to be sent: some seconds of a busy host.
const MAX_WAITING: usize = 16 * 1024;

/// Spans of one request to the collector.
const MAX_BATCH: usize = 512;

/// How long spans wait for others to be sent with.
const BATCH_PAUSE: Duration = Duration::from_secs(1);

/// How long the collector may take for a batch.
const COLLECTOR_PATIENCE: Duration = Duration::from_secs(5);

/// What a span is of, as OTLP numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    /// Work of this program.
    Internal = 1,
    /// A request of somebody else's.
    Server = 2,
    /// A request to somebody else.
    Client = 3,
}

/// Where spans go; nowhere unless an address was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces(Option<Arc<Sink>>);

#[derive(Debug)]
struct Sink {
    messages: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Message {
    Ended(Box<Span>),
    /// Tells when all before it were sent or given up.
    Flush(oneshot::Sender<()>),
}

impl Sink {
    fn send(&self, span: Box<Span>) {
        if self.messages.try_send(Message::Ended(span)).is_err() {
            self.metrics.spans_end(SpanFate::Dropped, 1);
        }
    }
}

impl Traces {
    /// Spans go to the collector at `address`, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// The address is none of plain HTTP.
    pub(crate) fn to(address: &str, metrics: Arc<Metrics>) -> Result<Self> {
        let collector = collector(address)
            .with_context(|| format!("{address:?} is no address of a collector"))?;
        let (messages, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(deliver(collector, waiting, Arc::clone(&metrics)));
        Ok(Self(Some(Arc::new(Sink { messages, metrics }))))
    }

    /// Begins the span of a request, which belongs to the trace that its headers name.
    pub(crate) fn begin_request(&self, headers: &HeaderMap) -> Option<OpenSpan> {
        let sink = self.0.as_ref()?;
        let parent = SpanContext::of(headers);
        let context = parent.map_or_else(SpanContext::root, |parent| parent.child());
        Some(OpenSpan::begin(sink, context, parent, SpanKind::Server))
    }

    /// Begins a span within another.
    pub(crate) fn begin(&self, parent: SpanContext, kind: SpanKind) -> Option<OpenSpan> {
        let sink = self.0.as_ref()?;
        Some(OpenSpan::begin(sink, parent.child(), Some(parent), kind))
    }

    /// Whether spans go anywhere.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until the spans that have ended were sent, for as long as one batch may take.
    pub(crate) async fn flush(&self) {
        let Some(sink) = &self.0 else { return };
        let (sent, flushed) = oneshot::channel();
        let flush = async {
            sink.messages.send(Message::Flush(sent)).await.ok()?;
            flushed.await.ok()
        };
        let _ = tokio::time::timeout(COLLECTOR_PATIENCE, flush).await;
    }
}

/// A span that has not ended. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    sink: Arc<Sink>,
    /// `Some` until it is dropped; apart, because every request has room for two, and few traces.
    span: Option<Box<Span>>,
}

#[derive(Debug)]
struct Span {
    context: SpanContext,
    parent: Option<SpanContext>,
    name: String,
    kind: SpanKind,
    began: SystemTime,
    ended: SystemTime,
    attributes: Vec<(&'static str, Value)>,
    has_failed: bool,
}

impl OpenSpan {
    fn begin(
        sink: &Arc<Sink>,
        context: SpanContext,
        parent: Option<SpanContext>,
        kind: SpanKind,
    ) -> Self {
        let now = SystemTime::now();
        let span = Span {
            context,
            parent,
            name: String::new(),
            kind,
            began: now,
            ended: now,
            attributes: Vec::new(),
            has_failed: false,
        };
        Self {
            sink: Arc::clone(sink),
            span: Some(Box::new(span)),
        }
    }

    /// What others are told to be part of it.
    pub(crate) fn context(&self) -> Option<SpanContext> {
        self.span.as_ref().map(|span| span.context)
    }

    /// Says what it is of.
    pub(crate) fn set_name(&mut self, name: String) {
        if let Some(span) = &mut self.span {
            span.name = name;
        }
    }

    /// Says something of it.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.attributes.push((name, value.into()));
        }
    }

    /// Says that it failed.
    pub(crate) fn fail(&mut self) {
        if let Some(span) = &mut self.span {
            span.has_failed = true;
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        // Whoever began the trace has decided whether it is recorded.
        if let Some(mut span) = self.span.take()
            && span.context.is_sampled
        {
            span.ended = SystemTime::now();
            self.sink.send(span);
        }
    }
}

impl Span {
    fn to_json(&self) -> Value {
        let nanos = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_nanos().to_string()
        };
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, value)| attribute(name, value));
        let mut span = json!({
            "traceId": self.context.trace_id_text(),
            "spanId": self.context.span_id_text(),
            "flags": 1,
            "name": self.name,
            "kind": self.kind as u8,
            "startTimeUnixNano": nanos(self.began),
            "endTimeUnixNano": nanos(self.ended),
            "attributes": attributes.collect::<Vec<_>>(),
            "status": if self.has_failed { json!({"code": 2}) } else { json!({}) },
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = parent.span_id_text().into();
        }
        span
    }
}

/// An attribute in OTLP's form, in which whole numbers are texts.
fn attribute(name: &str, value: &Value) -> Value {
    let value = match value {
        Value::Bool(value) => json!({"boolValue": value}),
        Value::Number(value) => json!({"intValue": value.to_string()}),
        Value::String(value) => json!({"stringValue": value}),
        other => json!({"stringValue": other.to_string()}),
    };
    json!({"key": name, "value": value})
}

/// What a collector is sent.
fn document(spans: &[Box<Span>]) -> Value {
    let name = json!("turnpike");
    let version = json!(env!("CARGO_PKG_VERSION"));
    let spans: Vec<_> = spans.iter().map(|span| span.to_json()).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            attribute("service.name", &name), attribute("service.version", &version),
        ]},
        "scopeSpans": [{"scope": {"name": name, "version": version}, "spans": spans}],
    }]})
}

/// Sends spans to the collector until nobody makes any.
async fn deliver(
    collector: PostAddress,
    mut waiting: mpsc::Receiver<Message>,
    metrics: Arc<Metrics>,
) {
    let mut messages = Vec::new();
    while waiting.recv_many(&mut messages, MAX_BATCH).await > 0 {
        let is_flush = |message: &Message| matches!(message, Message::Flush(_));
        if messages.len() < MAX_BATCH && !messages.iter().any(is_flush) {
            let more = MAX_BATCH - messages.len();
            let gather = async {
                let mut gathered = 0;
                while gathered < more {
                    match waiting.recv().await {
                        Some(message) => {
                            let ends = is_flush(&message);
                            messages.push(message);
                            gathered += 1;
                            if ends {
                                return;
                            }
                        }
                        None => return,
                    }
                }
            };
            let _ = tokio::time::timeout(BATCH_PAUSE, gather).await;
        }
        let (mut spans, mut flushes) = (Vec::new(), Vec::new());
        for message in messages.drain(..) {
            match message {
                Message::Ended(span) => spans.push(span),
                Message::Flush(sent) => flushes.push(sent),
            }
        }
        if !spans.is_empty() {
            let count = spans.len() as u64;
            let sent = collector.post("application/json", document(&spans).to_string());
            let sent = tokio::time::timeout(COLLECTOR_PATIENCE, sent);
            let sent = sent.await.context("it did not answer in time").flatten();
            let fate = match sent {
                Ok(()) => SpanFate::Sent,
                Err(error) => {
                    tracing::warn!("the collector has not taken {count} spans: {error:#}");
                    SpanFate::Dropped
                }
            };
            metrics.spans_end(fate, count);
        }
        for sent in flushes {
            // Whoever asked may have given up.
            let _ = sent.send(());
        }
    }
}

/// Where a collector at this address takes spans.
///
/// # Errors
/// The address is none of plain HTTP.
fn collector(address: &str) -> Result<PostAddress> {
    let collector: PostAddress = format!("{}{PATH}", address.trim_end_matches('/')).parse()?;
    ensure!(
        !collector.is_encrypted,
        "it must begin with http://: let a collector beside the host send on what leaves the machine"
    );
    Ok(collector)
}

/// Puts the context in place of what the client sent, so that what the component does is part of it.
pub(crate) fn pass_on(context: SpanContext, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&context.to_string()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// The name of a statement's span: its first words, which are the verb and the function.
pub(crate) fn statement_name(statement: &str) -> &str {
    let end = statement.find(['(', '$', '\'']).unwrap_or(statement.len());
    let name = statement[..end].trim();
    name.get(..60).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collectors_are_addressed() {
        for (address, expected) in [
            ("http://127.0.0.1:4318", Some("127.0.0.1:4318 /v1/traces")),
            ("http://otel/base/", Some("otel /base/v1/traces")),
            ("https://otel:4318", None),
            ("grpc://otel:4317", None),
            ("otel:4318", None),
            ("http://me:secret@otel:4318", None),
            ("", None),
        ] {
            let read = collector(address).ok();
            let shown = read.map(|at| format!("{} {}", at.authority, at.target));
            assert_eq!(shown.as_deref(), expected, "{address:?}");
        }
    }

    #[test]
    fn statements_are_named_by_what_they_call() {
        for (statement, expected) in [
            (
                "SELECT credits_balance($1, $2)::text",
                "SELECT credits_balance",
            ),
            ("SELECT 1", "SELECT 1"),
            ("SELECT 'a secret'", "SELECT"),
            ("", ""),
        ] {
            assert_eq!(statement_name(statement), expected, "{statement:?}");
        }
    }

    #[tokio::test]
    async fn spans_that_nobody_takes_are_dropped_and_counted() -> Result<()> {
        let metrics = Arc::new(Metrics::new());
        let traces = Traces::to("http://127.0.0.1:9", Arc::clone(&metrics))?;
        let mut headers = HeaderMap::new();
        drop(traces.begin_request(&headers));
        // Whoever began the trace does not want it recorded.
        let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        headers.insert(TRACEPARENT, HeaderValue::from_static(unsampled));
        drop(traces.begin_request(&headers));
        traces.flush().await;
        assert_eq!(metrics.spans(SpanFate::Dropped), 1);
        assert_eq!(metrics.spans(SpanFate::Sent), 0);
        assert!(Traces::default().begin_request(&headers).is_none());
        Ok(())
    }
}
