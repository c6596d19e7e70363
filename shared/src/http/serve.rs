//! The one wrapper around every component: it decodes what the host hands over,
//! runs the handler, and encodes its reply or problem document.

use std::time::Duration;

use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::http::wire::{Method, WireRequest, WireResponse, encode, method_name};

/// Requests slower than this leave a line in the log.
const SLOW: Duration = Duration::from_millis(500);

/// Exports a component: its id, the methods it answers as the `Allow` header
/// will list them, and its handler.
///
/// The SDK's own attribute hands over the `http` crate's request; this hands
/// over the host's.
///
/// A component whose paths answer different methods gives, instead of a text, a
/// function from the path to the methods.
#[macro_export]
macro_rules! component {
    ($id:literal, $allow:literal, $handler:expr) => {
        $crate::component!($id, |_: &str| $allow, $handler);
    };
    ($id:literal, $allow:expr, $handler:expr) => {
        /// What the host calls.
        pub struct Component;

        impl $crate::http::Guest for Component {
            async fn handle(
                wire: $crate::http::WireRequest,
            ) -> Result<$crate::http::WireResponse, $crate::http::ErrorCode> {
                Ok($crate::http::handle($id, $allow, wire, $handler).await)
            }
        }

        // The names of a component's exports are not names that a native linker
        // takes, and a native build is only ever for the unit tests.
        #[cfg(target_arch = "wasm32")]
        ::spin_sdk::wasip3::http::service::export!(Component);
    };
}

/// Runs `handler` for a request with one of the methods that `allow` gives for
/// its path, which read as the `Allow` header will: `"GET"` or `"GET, POST"`.
pub async fn handle(
    component: &'static str,
    allow: impl FnOnce(&str) -> &'static str,
    wire: WireRequest,
    handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
) -> WireResponse {
    let request = Request::decode(wire);
    let client_request_id = request.header("x-request-id").ok().flatten();
    let context = Context::begin(component, client_request_id);
    let allow = allow(request.path());
    let outcome = if is_allowed(allow, request.method()) {
        handler(&context, &request).await
    } else {
        Err(Problem::method_not_allowed(allow))
    };
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
    encode(context, reply, problem.as_ref())
}

fn is_allowed(allow: &str, method: &Method) -> bool {
    allow
        .split(", ")
        .any(|allowed| allowed == method_name(method))
}
