//! One request to another component of the application, on the host's own request
//! and response: the `http` crate's would make this component a tenth larger.

use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

/// Bytes asked of the host at a time.
const READ_BYTES: usize = 16 * 1024;

/// Posts a JSON body to `/` of the component at `authority`, under the id of the
/// request that it is sent for; the status and the body of the answer, or what
/// went wrong for the log.
pub async fn post(
    authority: &str,
    request_id: &str,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), String> {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("content-length", body.len().to_string()),
        ("x-request-id", request_id.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into_bytes()));
    let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
    let (mut writer, contents) = wit_stream::new();
    let (end_writer, end) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(headers, Some(contents), end, None);
    request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some("/")))
        .map_err(|()| format!("{authority} is no address"))?;
    spawn(async move {
        // Whoever answers without reading leaves the rest.
        let _ = writer.write_all(body).await;
        drop(writer);
        let _ = end_writer.write(Ok(None)).await;
    });
    let response = client::send(request)
        .await
        .map_err(|error| format!("{authority} was not reached: {error:?}"))?;
    let status = response.get_status_code();
    let body = read(response)
        .await
        .map_err(|error| format!("{authority} broke off: {error:?}"))?;
    Ok((status, body))
}

async fn read(response: Response) -> Result<Vec<u8>, ErrorCode> {
    let (_unread, done) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = Response::consume_body(response, done);
    let mut body = Vec::new();
    loop {
        let (result, chunk) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        body.extend_from_slice(&chunk);
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    drop(stream);
    trailers.await.map(|_| body)
}
