//! The one wrapper around every component: it decodes what the host hands over,
//! runs the handler, and encodes its reply or problem document.

use std::time::Duration;

use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::http::wire::{WireRequest, WireResponse, encode};

/// Requests slower than this leave a line in the log.
const SLOW: Duration = Duration::from_millis(500);

/// Exports a component: its operations, each with the handler that answers it.
///
/// ```ignore
/// shared::component! {
///     operations::LIST => handler::list,
///     operations::PUT => handler::put,
/// }
/// ```
///
/// The SDK's own attribute hands over the `http` crate's request; this hands over
/// the host's. A component for a wildcard route, which has no operations, gives its
/// methods as the `Allow` header will list them, and one handler for every path:
/// `shared::component!("not-found", "GET, POST", handler);`.
#[macro_export]
macro_rules! component {
    ($id:literal, $allow:literal, $handler:expr) => {
        $crate::component!($id, |_: &str| $allow, $handler);
    };
    ($id:literal, $allow:expr, $handler:expr) => {
        async fn answer(
            context: &$crate::http::context::Context,
            request: &$crate::http::Request,
        ) -> Result<$crate::http::Reply, $crate::http::problem::Problem> {
            request.require_method($allow(request.path()))?;
            $handler(context, request).await
        }

        $crate::component!(@export |wire| $crate::http::handle($id, wire, answer));
    };
    (@export |$wire:ident| $answer:expr) => {
        /// What the host calls.
        pub struct Component;

        impl $crate::http::Guest for Component {
            async fn handle(
                $wire: $crate::http::WireRequest,
            ) -> Result<$crate::http::WireResponse, $crate::http::ErrorCode> {
                Ok($answer.await)
            }
        }

        // The names of a component's exports are not names that a native linker
        // takes, and a native build is only ever for the unit tests.
        #[cfg(target_arch = "wasm32")]
        ::spin_sdk::wasip3::http::service::export!(Component);
    };
    ($($operation:path => $handler:expr),+ $(,)?) => {
        static OPERATIONS: &[$crate::http::operation::Operation] = &[$($operation),+];

        async fn answer(
            context: &$crate::http::context::Context,
            request: &$crate::http::Request,
        ) -> Result<$crate::http::Reply, $crate::http::problem::Problem> {
            let id = request.find_operation(OPERATIONS)?;
            $(if id == $operation.id {
                return $handler(context, request).await;
            })+
            Err($crate::http::problem::Problem::internal())
        }

        $crate::component!(@export |wire| {
            $crate::http::handle(env!("CARGO_PKG_NAME"), wire, answer)
        });
    };
}

/// Runs `handler` for a request, and encodes its reply or problem.
pub async fn handle(
    component: &'static str,
    wire: WireRequest,
    handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
) -> WireResponse {
    let request = Request::decode(wire);
    let client_request_id = request.header("x-request-id").ok().flatten();
    let context = Context::begin(component, client_request_id);
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
    encode(context, reply, problem.as_ref())
}
