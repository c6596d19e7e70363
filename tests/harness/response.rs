//! A response, and what can be asserted of it. A failure shows everything there is to know.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use turnpike_host::CapturedLog;

/// Bytes of a body that a failure message shows: a problem document has some 300.
const SHOWN_BODY_BYTES: usize = 2_000;

/// An answered request.
#[derive(Debug, Clone)]
pub struct Response {
    /// The request's method.
    pub method: Method,
    /// The request's path and query.
    pub target: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// From before the request was sent until the body was read.
    pub elapsed: Duration,
    /// What the host has logged, if it logs here.
    pub log: Option<CapturedLog>,
}

impl Response {
    /// A header as text; empty for one that is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    }

    /// The `x-cache` header.
    pub fn cache(&self) -> &str {
        self.header("x-cache").unwrap_or_default()
    }

    /// The `x-db-queries` header.
    #[track_caller]
    pub fn db_queries(&self) -> u32 {
        match self.header("x-db-queries").map(str::parse) {
            Some(Ok(count)) => count,
            _ => self.fail("x-db-queries must be a number"),
        }
    }

    /// The body, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("the body must be JSON: {error}")),
        }
    }

    /// The string at a JSON pointer of the body.
    #[track_caller]
    pub fn text_at(&self, pointer: &str) -> String {
        match self.json().pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => self.fail(&format!("the body must have a string at {pointer}")),
        }
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        if self.status != status {
            self.fail(&format!("the status must be {status}"));
        }
        self
    }

    /// Fails unless this is the problem `code` with `status`.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let response = self.expect(status);
        if response.text_at("/code") != code {
            response.fail(&format!("the problem's code must be {code:?}"));
        }
        response
    }

    /// Fails unless this is the problem `code` with `status`, and names exactly these fields.
    #[track_caller]
    pub fn expect_fields(self, status: u16, code: &str, fields: &[&str]) -> Self {
        let response = self.expect_problem(status, code);
        if response.error_fields() != fields {
            response.fail(&format!("the errors must name exactly {fields:?}"));
        }
        response
    }

    /// The fields that the problem's errors name.
    #[track_caller]
    pub fn error_fields(&self) -> Vec<String> {
        let document = self.json();
        let errors = document["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The problem document without what differs between two requests.
    #[track_caller]
    pub fn problem_without_request_id(&self) -> Value {
        let mut document = self.json();
        if let Some(members) = document.as_object_mut() {
            members.remove("request_id");
        }
        document
    }

    /// Whether the API asked for another attempt: 409 and 503 say that with `Retry-After`.
    pub fn asks_for_retry(&self) -> bool {
        matches!(self.status, 409 | 503) && self.headers.contains_key("retry-after")
    }

    /// Whether Postgres missed a deadline of the API's: it was too slow for a statement, or another
    /// request held for too long what this one needs.
    pub fn is_from_a_busy_machine(&self) -> bool {
        let has_code = |code: &str| {
            serde_json::from_slice::<Value>(&self.body).is_ok_and(|body| body["code"] == code)
        };
        match self.status {
            503 => has_code("dependency_unavailable"),
            409 => has_code("request_in_flight"),
            _ => false,
        }
    }

    /// Ends the test with a message that holds the whole exchange.
    #[track_caller]
    pub fn fail(&self, message: &str) -> ! {
        panic!("{message}\n{self}")
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        writeln!(f, "  request:    {} {}", self.method, self.target)?;
        writeln!(
            f,
            "  status:     {} {status} after {:?}",
            self.status, self.elapsed
        )?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        let shown = &self.body[..self.body.len().min(SHOWN_BODY_BYTES)];
        writeln!(f, "  body:       {}", String::from_utf8_lossy(shown))?;
        let request_id = self.header("x-request-id").unwrap_or("unknown");
        writeln!(f, "  request id: {request_id}")?;
        let lines = self
            .log
            .as_ref()
            .map(CapturedLog::lines)
            .unwrap_or_default();
        for line in lines.iter().filter(|line| line.contains(request_id)) {
            writeln!(f, "  log:        {line}")?;
        }
        Ok(())
    }
}
