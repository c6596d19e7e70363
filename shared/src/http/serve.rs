//! The one wrapper around every handler: it decodes what the host hands over,
//! runs the handler, and encodes its reply or problem document.

use std::rc::Rc;
use std::time::Duration;

use crate::http::browser_rules;
use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::http::wire::{WireRequest, WireResponse, encode};

/// Requests slower than this leave a line in the log.
const SLOW: Duration = Duration::from_millis(500);

/// Runs `handler` for a request, and encodes its reply or problem.
pub async fn handle(
    component: &'static str,
    wire: WireRequest,
    handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
) -> WireResponse {
    let request = Request::decode(wire);
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
        context.log(
            level,
            &format!("{} answered {}", request.path(), reply.status),
        );
    }
    let rules = browser_rules::headers(&context).await;
    encode(context, reply, problem.as_ref(), rules)
}
