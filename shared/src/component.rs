//! A component: its operations and their handlers, and what is done beside every answer.

use crate::auth::api_key_use;
use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::http::{self, Reply, Request, Served};
use crate::store::counts;

/// Exports a component: its operations, each with the handler that answers it.
///
/// ```text
/// shared::component! {
///     operations::LIST => handler::list,
///     operations::PUT => handler::put,
/// }
/// ```
///
/// The SDK's own attribute hands over the `http` crate's request; this hands over
/// the host's, by `wasi:http/handler` or, whole, by `turnpike:http/plain`. A component one of
/// whose replies is sent in pieces ([`Reply::followed_by`]) exports the first alone, and says
/// so: `shared::component! { streamed operations::EXPORT => handler::export }`.
///
/// A component for a wildcard route, which has no operations, gives its
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

        $crate::component!(@wasi |request| $crate::http::serve($id, request, answer));
        $crate::component!(@plain);
    };
    (@wasi |$request:ident| $served:expr) => {
        /// What the host calls.
        pub struct Component;

        async fn serve($request: $crate::http::Request) -> $crate::http::Served {
            $served.await
        }

        impl $crate::http::wire::Guest for Component {
            async fn handle(
                request: $crate::http::wire::WireRequest,
            ) -> Result<$crate::http::wire::WireResponse, $crate::http::wire::ErrorCode> {
                let served = serve($crate::http::Request::from_wire(request)).await;
                Ok($crate::http::wire::response(served))
            }
        }

        // The names of a component's exports are not names that a native linker
        // takes, and a native build is only ever for the unit tests.
        #[cfg(target_arch = "wasm32")]
        ::spin_sdk::wasip3::http::service::export!(Component);
    };
    (@plain) => {
        impl $crate::http::plain::Guest for Component {
            async fn answer(
                request: $crate::http::plain::Request,
            ) -> $crate::http::plain::Response {
                let served = serve($crate::http::Request::from_plain(request)).await;
                $crate::http::plain::response(served)
            }
        }

        #[cfg(target_arch = "wasm32")]
        $crate::http::plain::export_plain!(Component with_types_in $crate::http::plain);
    };
    (@operations $($operation:path => $handler:expr),+) => {
        static OPERATIONS: &[$crate::http::operation::Operation] = &[$($operation),+];

        // Known when the component is compiled, so that it carries only what it uses. What waits
        // is chosen by a type: an `if` in a future leaves both branches in it, because it can go
        // on in either.
        const IS_AUDITED: bool = false $(|| $operation.is_audited)+;
        const TAKES_CREDENTIALS: bool = false $(|| $operation.takes_credential())+;
        const IS_AUTH: bool = $crate::component::is_auth(env!("CARGO_PKG_NAME"));

        async fn answer(
            context: &$crate::http::context::Context,
            request: &$crate::http::Request,
        ) -> Result<$crate::http::Reply, $crate::http::problem::Problem> {
            let id = request.find_operation(OPERATIONS)?;
            $crate::component::Audited::<IS_AUDITED>::begin(context, request).await?;
            $(if id == $operation.id {
                let outcome = $handler(context, request).await;
                if IS_AUTH {
                    $crate::component::count_auth_operation($operation.id, &outcome);
                }
                return outcome;
            })+
            Err($crate::http::problem::Problem::internal())
        }

        $crate::component!(@wasi |request| async {
            let component = env!("CARGO_PKG_NAME");
            $crate::component::Credentials::<TAKES_CREDENTIALS>::serve(component, request, answer)
                .await
        });
    };
    (streamed $($operation:path => $handler:expr),+ $(,)?) => {
        $crate::component!(@operations $($operation => $handler),+);
    };
    ($($operation:path => $handler:expr),+ $(,)?) => {
        $crate::component!(@operations $($operation => $handler),+);
        $crate::component!(@plain);
    };
}

/// What comes before the handlers of a component of which an operation leaves events in the audit
/// log, or none does.
#[derive(Debug)]
pub struct Audited<const IS_ANY: bool>;

impl Audited<true> {
    /// Finds out where the request comes from, if its operation leaves events in the audit log.
    /// Every event says it, and no handler has to.
    ///
    /// # Errors
    /// Those of [`Request::client_address`].
    pub async fn begin(context: &Context, request: &Request) -> Result<(), Problem> {
        let operation = request.operation();
        if operation.is_some_and(|operation| operation.is_audited) {
            let address = request.client_address(context).await?;
            request.asker().note_address(address.to_string());
        }
        Ok(())
    }
}

impl Audited<false> {
    /// Does nothing.
    ///
    /// # Errors
    /// None.
    pub async fn begin(_: &Context, _: &Request) -> Result<(), Problem> {
        Ok(())
    }
}

/// Whether a component's operations are those of auth, whose outcomes are counted.
pub const fn is_auth(component: &str) -> bool {
    matches!(component.as_bytes(), [b'a', b'u', b't', b'h', b'-', ..])
}

/// Counts what became of a request to an operation of auth.
pub fn count_auth_operation(id: &'static str, outcome: &Result<Reply, Problem>) {
    let name = match status(outcome) {
        ..400 => "auth_operations_ok",
        400..500 => "auth_operations_refused",
        500.. => "auth_operations_failed",
    };
    counts::add(name, id, 1);
}

/// The status that a request is answered with.
fn status(outcome: &Result<Reply, Problem>) -> u16 {
    match outcome {
        Ok(reply) => reply.status,
        Err(problem) => problem.status,
    }
}

/// How a component is served whose operations take credentials, or none does.
#[derive(Debug)]
pub struct Credentials<const ARE_TAKEN: bool>;

impl Credentials<true> {
    /// Runs `handler` for a request, and makes a response of its reply or problem. Once the answer
    /// is known, the use of the API key that asked is noted.
    pub async fn serve(
        component: &'static str,
        request: Request,
        handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
    ) -> Served {
        http::serve(component, request, async |context, request| {
            let outcome = handler(context, request).await;
            if let Some(key) = request.api_key()
                && api_key_use::shows_use(status(&outcome))
            {
                api_key_use::note(context, key).await;
            }
            outcome
        })
        .await
    }
}

impl Credentials<false> {
    /// As [`http::serve`].
    pub async fn serve(
        component: &'static str,
        request: Request,
        handler: impl AsyncFnOnce(&Context, &Request) -> Result<Reply, Problem>,
    ) -> Served {
        http::serve(component, request, handler).await
    }
}
