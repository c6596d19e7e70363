//! Unlike every component of Turnpike it answers differently by its two exports, so that a test
//! sees which of them the host took. By `turnpike:http/plain` the path says what is wrong with the
//! answer:
//!
//! - `/trap` traps,
//! - `/status` has a status that there is none of,
//! - `/length` announces more bytes than it has,
//! - `/break` has a header with a line break in its value,
//! - `/framing` has a header that is the host's to set,
//! - `/later` is in order, and something is logged after it.

use shared::http::context::Context;
use shared::http::plain;
use shared::http::problem::Problem;
use shared::http::wire::{self, ErrorCode, WireRequest, WireResponse};
use shared::http::{Reply, Request};

/// What the host calls.
pub struct Component;

impl wire::Guest for Component {
    async fn handle(request: WireRequest) -> Result<WireResponse, ErrorCode> {
        let request = Request::from_wire(request);
        let served = shared::http::serve("two-doors", request, describe).await;
        Ok(wire::response(served))
    }
}

async fn describe(_: &Context, request: &Request) -> Result<Reply, Problem> {
    let body = request.body_within(usize::MAX).await?;
    Reply::json(200, &("wasi-http", body.len()))
}

impl plain::Guest for Component {
    async fn answer(request: plain::Request) -> plain::Response {
        let header = |name: &str, value: &str| vec![(name.to_owned(), value.as_bytes().to_vec())];
        let body = format!("[\"plain\",{}]", request.body.len());
        let (status, headers) = match request.path_with_query.as_str() {
            "/trap" => panic!("as the path says"),
            "/status" => (99, Vec::new()),
            "/length" => (200, header("content-length", &(body.len() + 1).to_string())),
            "/break" => (200, header("x-broken", "1\r\nset-cookie: a=b")),
            "/framing" => (200, header("transfer-encoding", "chunked")),
            "/later" => {
                spin_sdk::wasip3::spawn(async {
                    spin_sdk::time::sleep(std::time::Duration::from_millis(50)).await;
                    eprintln!("after the answer");
                });
                (200, Vec::new())
            }
            _ => (200, header("content-length", &body.len().to_string())),
        };
        plain::Response {
            status,
            headers,
            body: body.into_bytes(),
        }
    }
}

#[cfg(target_arch = "wasm32")]
spin_sdk::wasip3::http::service::export!(Component);
#[cfg(target_arch = "wasm32")]
plain::export_plain!(Component with_types_in plain);
