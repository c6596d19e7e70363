//! `turnpike:http/plain`: the request as one record, and the response as another. The local host
//! hands short requests over by it, because streams and tables of headers cost more than the rest
//! of a cached answer.

use crate::http::serve::Served;

mod bindings {
    #![allow(missing_docs, reason = "the interface is documented in wit/plain")]

    spin_sdk::wasip3::wit_bindgen::generate!({
        path: "../wit/plain",
        world: "plain-handler",
        runtime_path: "spin_sdk::wasip3::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export_plain",
        default_bindings_module: "shared::http::plain",
    });
}

pub use bindings::export_plain;
pub use bindings::exports;
pub use bindings::exports::turnpike::http::plain::{Guest, Request, Response};

/// The response to a request that was handed over in one record.
pub fn response(served: Served) -> Response {
    if served.rest.is_some() {
        // A mistake in the component, which the first test of the operation finds.
        served.context.log(
            "error",
            "a body in pieces: the component must be declared `streamed`",
        );
        return Response {
            status: 500,
            headers: Vec::new(),
            body: Vec::new(),
        };
    }
    Response {
        status: served.status,
        headers: served.headers,
        body: served.body,
    }
}
