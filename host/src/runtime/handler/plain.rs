//! Requests that are handed over whole, by `turnpike:http/plain`.

use anyhow::Context as _;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use wasmtime::component::Accessor;

use crate::imports::instance::InstanceState;
use crate::imports::outbound_http::is_connection_header;
use crate::runtime::dispatcher::Reply;
use crate::runtime::response_body::ResponseBody;
use crate::traces::SpanContext;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/plain",
        world: "turnpike:http/plain-handler",
        exports: { default: async | store },
        require_store_data_send: true,
    });
}

use bindings::exports::turnpike::http::plain::{
    Request as PlainRequest, Response as PlainResponse,
};
pub(super) use bindings::{PlainHandler, PlainHandlerIndices};

/// The interface, as a component exports it.
pub(super) const NAME: &str = "turnpike:http/plain@0.1.0";

/// Has a component answer a request.
///
/// # Errors
/// The component trapped.
pub(super) async fn answer(
    handler: &PlainHandler,
    accessor: &Accessor<InstanceState>,
    head: http::request::Parts,
    body: Bytes,
    span: Option<SpanContext>,
) -> wasmtime::Result<Reply> {
    let request = record(head, body);
    let function = handler.turnpike_http_plain().func_answer();
    let (answer,) = super::call(accessor, function, (request,), span).await?;
    Ok(response(answer).map_err(wasmtime::Error::from_anyhow))
}

/// The request, without the headers that a component does not get by `wasi:http` either.
fn record(head: http::request::Parts, body: Bytes) -> PlainRequest {
    let headers = head.headers.iter();
    let headers = headers.filter(|(name, _)| !is_connection_header(name));
    PlainRequest {
        method: head.method.as_str().to_owned(),
        authority: head
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned()),
        path_with_query: head
            .uri
            .path_and_query()
            .map_or_else(String::new, |path| path.as_str().to_owned()),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: body.into(),
    }
}

/// The response to it.
///
/// # Errors
/// The component answered something that cannot be sent, or a body of another length than it
/// says.
fn response(answer: PlainResponse) -> anyhow::Result<Response<ResponseBody>> {
    let status = StatusCode::from_u16(answer.status)
        .with_context(|| format!("the component answered with the status {}", answer.status))?;
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).context("a header's name")?;
        anyhow::ensure!(
            !is_connection_header(&name),
            "the header {name} is not the component's to set"
        );
        let value = HeaderValue::from_maybe_shared(Bytes::from(value));
        let value = value.with_context(|| format!("the value of the header {name}"))?;
        headers.append(name, value);
    }
    let body = Bytes::from(answer.body);
    if let Some(announced) = headers.get(CONTENT_LENGTH) {
        anyhow::ensure!(
            is_length(announced, body.len()),
            "the component announced a body of {announced:?} bytes and sent {}",
            body.len()
        );
    }
    let mut response = Response::new(ResponseBody::Whole(Some(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn is_length(announced: &HeaderValue, length: usize) -> bool {
    let digits = announced.to_str().ok();
    digits.and_then(|digits| digits.parse().ok()) == Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_records() -> anyhow::Result<()> {
        let request = http::Request::builder()
            .method("PATCH")
            .uri("http://shop.example:8080/a%20b?c=d&c=")
            .header("host", "shop.example:8080")
            .header("x-two", "1")
            .header("connection", "close")
            .header("x-two", "é")
            .header("transfer-encoding", "chunked")
            .header("content-length", "3")
            .body(())?;
        let record = record(request.into_parts().0, Bytes::from_static(b"abc"));
        assert_eq!(record.method, "PATCH");
        assert_eq!(record.authority.as_deref(), Some("shop.example:8080"));
        assert_eq!(record.path_with_query, "/a%20b?c=d&c=");
        assert_eq!(record.body, b"abc");
        let headers: Vec<_> = record.headers.iter().collect();
        let expected = [("x-two", "1"), ("x-two", "é"), ("content-length", "3")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        assert_eq!(headers, expected.iter().collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        type Row<'a> = (u16, &'a [(&'a str, &'a [u8])], &'a str, bool);
        let table: [Row<'_>; 11] = [
            (200, &[("content-length", b"2")], "{}", true),
            (200, &[], "{}", true),
            (204, &[], "", true),
            (200, &[("set-cookie", b"a"), ("set-cookie", b"b")], "", true),
            (200, &[("content-length", b"3")], "{}", false),
            (200, &[("content-length", b"1")], "{}", false),
            (200, &[("content-length", b"two")], "{}", false),
            (200, &[("x", b"a\r\nset-cookie: b")], "", false),
            (200, &[("a b", b"")], "", false),
            (200, &[("transfer-encoding", b"chunked")], "", false),
            (99, &[], "", false),
        ];
        for (status, headers, body, is_sent) in table {
            let answer = PlainResponse {
                status,
                headers: headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                    .collect(),
                body: body.as_bytes().to_vec(),
            };
            let outcome = response(answer).map(|response| response.headers().len());
            let expected = is_sent.then_some(headers.len());
            assert_eq!(outcome.ok(), expected, "{status} {headers:?} {body:?}");
        }
    }
}
