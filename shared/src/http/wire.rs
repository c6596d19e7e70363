//! `wasi:http/handler`: the host's own request and response. A body is read from the one, and a
//! reply is written to the other.
//!
//! The `http` crate's types would copy every header once more.

use spin_sdk::wasip3::http::types::Fields as WireFields;
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use crate::http::pieces;
use crate::http::problem::Problem;
use crate::http::serve::Served;

pub use spin_sdk::wasip3::exports::http::handler::Guest;
pub use spin_sdk::wasip3::http::types::{
    ErrorCode, Method, Request as WireRequest, Response as WireResponse,
};

/// Most bytes of an oversized body that are read and dropped, so that the
/// client has finished sending and can read the refusal.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// Bytes asked of the host at a time.
const READ_BYTES: usize = 16 * 1024;

/// The method as a request line has it.
pub(super) fn method_name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
        Method::Connect => "CONNECT",
        Method::Trace => "TRACE",
        Method::Other(name) => name,
    }
}

/// The method that [`method_name`] has the name of.
pub(super) fn method_named(name: String) -> Method {
    match name.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        _ => Method::Other(name),
    }
}

/// Reads until the stream ends or the announced length is there. Asking for the end
/// and for the trailers would cost two more turns of the host on each request.
pub(super) async fn read_body(
    wire: WireRequest,
    announced: Option<usize>,
    max_bytes: usize,
) -> Result<Vec<u8>, Problem> {
    let (_unread, done) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = WireRequest::consume_body(wire, done);
    let mut body = Vec::new();
    let mut total_bytes = 0;
    loop {
        if announced == Some(total_bytes) && total_bytes <= max_bytes {
            return Ok(body);
        }
        let (result, chunk) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        total_bytes += chunk.len();
        if total_bytes <= max_bytes {
            body.extend_from_slice(&chunk);
        }
        if !matches!(result, StreamResult::Complete(_)) || total_bytes > MAX_DRAINED_BYTES {
            break;
        }
    }
    if total_bytes > max_bytes {
        return Err(Problem::body_too_large(max_bytes));
    }
    drop(stream);
    match trailers.await {
        Ok(_) => Ok(body),
        Err(_) => Err(Problem::malformed_body("The body broke off.")),
    }
}

/// The response to a request that came by `wasi:http`.
pub fn response(served: Served) -> WireResponse {
    let Served {
        context,
        status,
        headers,
        body: first,
        rest,
    } = served;
    let headers = WireFields::from_list(&headers).unwrap_or_else(|error| {
        // Every name is a literal and every value ASCII, so this does not
        // happen; a response without headers is still a response.
        context.log(
            "error",
            &format!("the response headers were refused: {error:?}"),
        );
        WireFields::new()
    });
    let (mut writer, body) = wit_stream::new();
    // The end of the body when its task is dropped. A body with a length is whole
    // once it has that many bytes; a body without one is broken off.
    let unfinished: fn() -> pieces::End = match rest {
        None => || Ok(None),
        Some(_) => || Err(ErrorCode::InternalError(None)),
    };
    let (end_writer, end) = wit_future::new(unfinished);
    let (response, _sent) = WireResponse::new(headers, Some(body), end);
    // The status is one of ours, all of them valid.
    let _ = response.set_status_code(status);
    spawn(async move {
        let end = match rest {
            None => {
                // Nobody needs the rest of a body whose client has gone away.
                let _ = writer.write_all(first).await;
                Ok(None)
            }
            Some(rest) => pieces::write(&context, &mut writer, first, rest).await,
        };
        drop(writer);
        let _ = end_writer.write(end).await;
    });
    response
}
