//! What is noted of each request while it is answered: its part in the metrics, and its line in
//! the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use serde::Serialize;

use crate::log_sink::LogSink;
use crate::metrics::{MethodLabel, Metrics, StatusLabel};
use crate::runtime::response_body::ResponseBody;
use crate::runtime::server::Target;
use crate::traces::{self, OpenSpan, SpanContext, SpanKind, Traces};

/// Where what is noted of requests goes.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    metrics: Arc<Metrics>,
    traces: Traces,
    /// `Some` to write a line for each request.
    request_log: Option<LogSink>,
}

impl Observer {
    pub(crate) fn new(metrics: Arc<Metrics>, traces: Traces, request_log: Option<LogSink>) -> Self {
        Self {
            metrics,
            traces,
            request_log,
        }
    }

    /// Begins with a request.
    pub(crate) fn begin(&self, method: &Method, headers: &HeaderMap) -> Observation<'_> {
        self.metrics.request_begins();
        let span = self.traces.begin_request(headers);
        // Without a span, only the line needs it.
        let trace = match &span {
            Some(span) => span.context(),
            None if self.request_log.is_some() => SpanContext::of(headers),
            None => None,
        };
        Observation {
            observer: self,
            began: Instant::now(),
            method: MethodLabel::of(method),
            target: None,
            trace,
            component_span: None,
            span,
            is_over: false,
        }
    }
}

/// One request.
pub(crate) struct Observation<'a> {
    observer: &'a Observer,
    began: Instant,
    method: MethodLabel,
    /// `None` until it is known.
    target: Option<&'a Target>,
    /// What the request is part of.
    trace: Option<SpanContext>,
    /// Ends before the request's.
    component_span: Option<OpenSpan>,
    span: Option<OpenSpan>,
    is_over: bool,
}

impl<'a> Observation<'a> {
    /// Says what the request's path leads to.
    pub(crate) fn found(&mut self, target: &'a Target) {
        self.target = Some(target);
    }

    /// Says that the component is asked. What it does becomes part of the request's trace.
    pub(crate) fn component_begins(&mut self, head: &mut Parts) {
        let (Some(target), Some(span)) = (self.target, &mut self.span) else {
            return;
        };
        span.set_name(format!("{} {}", self.method.as_str(), target.route));
        span.set("http.route", &*target.route);
        let Some(parent) = span.context() else { return };
        let component = self.observer.traces.begin(parent, SpanKind::Internal);
        if let Some(mut component) = component {
            component.set_name(target.component_id.to_string());
            if let Some(context) = component.context() {
                traces::pass_on(context, &mut head.headers);
                head.extensions.insert(context);
            }
            self.component_span = Some(component);
        }
    }

    /// Ends with the answer.
    pub(crate) fn end(mut self, response: &Response<ResponseBody>) {
        let said = Said(Some(response.headers()));
        if let Some(target) = self.target {
            if let Some(statements) = said.db_queries() {
                target.metrics.note_statements(statements);
            }
            if let Some(cache) = said.cache() {
                target.metrics.note_cache(cache);
            }
        }
        self.note(Some(response.status()), said);
    }

    fn note(&mut self, status: Option<StatusCode>, said: Said<'_>) {
        self.is_over = true;
        let took = self.began.elapsed();
        self.end_spans(status, said);
        let Observer {
            metrics,
            request_log,
            ..
        } = self.observer;
        let label = status.map_or(StatusLabel::Aborted, |status| {
            StatusLabel::Answered(status.as_u16())
        });
        let component = self.target.map(|target| &target.metrics);
        metrics.request_ends(component, self.method, label, took);
        if let Some(log) = request_log {
            let line = Line {
                time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
                level: match status {
                    Some(status) if status.is_server_error() => "error",
                    Some(_) => "info",
                    None => "warn",
                },
                message: if status.is_some() {
                    "request"
                } else {
                    "request aborted"
                },
                request_id: said.request_id(),
                component: self.target.map(|target| &*target.component_id),
                method: self.method.as_str(),
                route: self.target.map(|target| &*target.route),
                status: status.map(|status| status.as_u16()),
                duration_ms: Millis(took),
                db_queries: said.db_queries(),
                cache: said.cache(),
                trace_id: self.trace.map(SpanContext::trace_id_text),
            };
            let id = self.target.map_or("host", |target| &target.component_id);
            // Texts and numbers become JSON without fail.
            log.line(id, &serde_json::to_string(&line).unwrap_or_default());
        }
    }
}

impl Observation<'_> {
    fn end_spans(&mut self, status: Option<StatusCode>, said: Said<'_>) {
        self.component_span = None;
        let Some(mut span) = self.span.take() else {
            return;
        };
        span.set("http.request.method", self.method.as_str());
        if let Some(target) = self.target {
            span.set("turnpike.component", &*target.component_id);
        }
        if let Some(status) = status {
            span.set("http.response.status_code", status.as_u16());
        }
        if let Some(id) = said.request_id() {
            span.set("turnpike.request_id", id);
        }
        if let Some(cache) = said.cache() {
            span.set("turnpike.cache", cache);
        }
        if status.is_none_or(|status| status.is_server_error()) {
            span.fail();
        }
    }
}

/// A request that is dropped before its end had a client that went away.
impl Drop for Observation<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.note(None, Said(None));
        }
    }
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static DB_QUERIES: HeaderName = HeaderName::from_static("x-db-queries");
static CACHE: HeaderName = HeaderName::from_static("x-cache");

/// What a component says of its answer, in the headers that every response has; nothing where there
/// is no answer.
#[derive(Debug, Clone, Copy)]
struct Said<'a>(Option<&'a HeaderMap>);

impl<'a> Said<'a> {
    fn request_id(self) -> Option<&'a str> {
        self.text(&REQUEST_ID)
    }

    fn db_queries(self) -> Option<u32> {
        let count = self.text(&DB_QUERIES)?;
        count.parse().ok()
    }

    fn cache(self) -> Option<&'a str> {
        self.text(&CACHE)
    }

    fn text(self, name: &HeaderName) -> Option<&'a str> {
        self.0?.get(name)?.to_str().ok()
    }
}

/// One line of the log. It has nothing that a client wrote but the id of its request, which has
/// no other characters than an id needs, and its trace's: so no secret of a path, a query, a header
/// or a body is ever in it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    level: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    duration_ms: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    db_queries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// A duration as a number of milliseconds, to the microsecond.
#[derive(Debug)]
struct Millis(Duration);

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_micros() as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_line_has_what_is_known() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-request-id", "req_1"),
            ("x-db-queries", "2"),
            ("x-cache", "miss"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let said = Said(Some(&headers));
        assert_eq!(said.request_id(), Some("req_1"));
        assert_eq!((said.db_queries(), said.cache()), (Some(2), Some("miss")));
        let (sink, log) = LogSink::capture();
        let observer = Observer::new(Arc::new(Metrics::new()), Traces::default(), Some(sink));
        let response = Response::new(ResponseBody::Whole(None));
        observer
            .begin(&Method::GET, &HeaderMap::new())
            .end(&response);
        drop(observer.begin(&Method::POST, &HeaderMap::new()));
        let lines = log.lines();
        let [answered, aborted] = lines.as_slice() else {
            panic!("there must be a line for each request: {lines:?}");
        };
        assert!(
            answered.contains("\"method\":\"GET\",\"status\":200,"),
            "{answered}"
        );
        assert!(!answered.contains("trace_id"), "{answered}");
        assert!(aborted.contains("\"level\":\"warn\""), "{aborted}");
    }
}
