//! The host's own request and response: a body is read from the one, and a reply is
//! written to the other.
//!
//! The `http` crate's types would copy every header once more.

use spin_sdk::wasip3::http::types::Fields as WireFields;
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use crate::http::context::Context;
use crate::http::pieces;
use crate::http::problem::{Problem, UNSUPPORTED_CONTENT_ENCODING};
use crate::http::reply::Reply;

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

/// Writes a reply, with the headers that every response carries, `rules` among them.
pub(super) fn encode(
    context: Context,
    reply: Reply,
    problem: Option<&Problem>,
    rules: impl Iterator<Item = (&'static str, &'static str)>,
) -> WireResponse {
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
    let unfinished: fn() -> pieces::End = match reply.rest {
        None => || Ok(None),
        Some(_) => || Err(ErrorCode::InternalError(None)),
    };
    let (end_writer, end) = wit_future::new(unfinished);
    let (response, _sent) = WireResponse::new(headers, Some(body), end);
    // The status is one of ours, all of them valid.
    let _ = response.set_status_code(reply.status);
    spawn(async move {
        let end = match reply.rest {
            None => {
                // Nobody needs the rest of a body whose client has gone away.
                let _ = writer.write_all(reply.body).await;
                Ok(None)
            }
            Some(rest) => pieces::write(&context, &mut writer, reply.body, rest).await,
        };
        drop(writer);
        let _ = end_writer.write(end).await;
    });
    response
}
