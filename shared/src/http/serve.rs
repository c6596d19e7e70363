//! The one wrapper around every handler: it runs the handler for a decoded request, and makes
//! a response of its reply or problem. Which interface of the host the request came by, and the
//! response goes back by, makes no difference here.

use std::rc::Rc;
use std::time::Duration;

use crate::http::after_answer;
use crate::http::browser_rules;
use crate::http::context::Context;
use crate::http::hit_rate;
use crate::http::pieces::Pieces;
use crate::http::problem::{Problem, UNSUPPORTED_CONTENT_ENCODING};
use crate::http::reply::Reply;
use crate::http::request::Request;

/// Requests slower than this leave a line in the log.
const SLOW: Duration = Duration::from_millis(500);

/// A response, before it is handed to the host.
#[derive(Debug)]
pub struct Served {
    pub(super) context: Context,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// The body, or the first piece of it.
    pub(super) body: Vec<u8>,
    /// The other pieces.
    pub(super) rest: Option<Box<dyn Pieces>>,
}

/// Runs `handler` for a request, and makes a response of its reply or problem.
pub async fn serve(
    component: &'static str,
    request: Request,
    handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
) -> Served {
    let client_request_id = request.header("x-request-id").ok().flatten();
    let context = Context::begin(component, client_request_id, Rc::clone(request.asker()));
    let outcome = handler(&context, &request).await;
    let (reply, problem) = match outcome {
        Ok(reply) => (reply, None),
        Err(problem) => (
            Reply::from_problem(&problem, context.request_id()),
            Some(problem),
        ),
    };
    if reply.status >= 500 || context.elapsed() >= SLOW {
        let level = if reply.status >= 500 { "error" } else { "warn" };
        // Not the path that was asked for: a client may have written anything there.
        let path = request
            .operation()
            .map_or("no path of ours", |one| one.path);
        context.log(level, &format!("{path} answered {}", reply.status));
    }
    let rules = browser_rules::headers(&context).await;
    after_answer::begin(component);
    Served {
        headers: headers(&context, &reply, problem.as_ref(), rules),
        context,
        status: reply.status,
        body: reply.body,
        rest: reply.rest,
    }
}

/// The headers of a reply: those that every response carries, `rules` among them, and its own.
fn headers(
    context: &Context,
    reply: &Reply,
    problem: Option<&Problem>,
    rules: impl Iterator<Item = (&'static str, &'static str)>,
) -> Vec<(String, Vec<u8>)> {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let micros = context.elapsed().as_micros();
    let mut headers = vec![
        header("content-type", reply.content_type),
        header("cache-control", reply.cache_control),
        header("x-request-id", context.request_id()),
        header(
            "x-response-time",
            &format!("{}.{:03}ms", micros / 1_000, micros % 1_000),
        ),
        header("x-db-queries", &context.db_queries().to_string()),
        header("x-cache", context.cache_status().as_str()),
        header("x-cache-hit-rate", &hit_rate::latest()),
    ];
    headers.extend(rules.map(|(name, value)| header(name, value)));
    if reply.rest.is_none() {
        headers.push(header("content-length", &reply.body.len().to_string()));
    }
    for (name, value) in &reply.headers {
        headers.push(header(name, value));
    }
    if context.is_replayed() {
        headers.push(header("idempotent-replayed", "true"));
    }
    if reply.status == 401 {
        headers.push(header("www-authenticate", "Bearer"));
    }
    if problem.is_some_and(|problem| problem.code == UNSUPPORTED_CONTENT_ENCODING.code) {
        headers.push(header("accept-encoding", "gzip, identity"));
    }
    if let Some(allow) = problem.and_then(|problem| problem.allow.as_deref()) {
        headers.push(header("allow", allow));
    }
    if let Some(secs) = problem.and_then(|problem| problem.retry_after_secs) {
        headers.push(header("retry-after", &secs.to_string()));
    }
    headers
}
