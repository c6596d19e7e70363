//! Bodies that are read whole, and the body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, WasiBody};

/// A request or response whose length is known and no larger is read whole before it goes on:
/// a request then costs its component no further waiting, and a response leaves in one write.
/// 64 KiB is what one read or write of a socket moves anyway.
pub(crate) const WHOLE_BODY_BYTES: u64 = 64 * 1024;

/// The body of an answer.
pub(crate) enum ResponseBody {
    /// All of it, until it is taken.
    Whole(Option<Bytes>),
    /// As it comes from the component.
    Streamed(WasiBody),
}

/// The component's answer; a short body is awaited, so that it leaves together with the head.
///
/// # Errors
/// The component broke the body off, or made it longer than it said.
pub(crate) async fn take(
    response: Response<WasiBody>,
    head_only: bool,
) -> wasmtime::Result<Response<ResponseBody>> {
    let (head, body) = response.into_parts();
    // These say how long a body would be, and have none.
    let has_no_body = head_only
        || head.status == StatusCode::NO_CONTENT
        || head.status == StatusCode::NOT_MODIFIED;
    let body = match body.size_hint().exact() {
        Some(length) if length <= WHOLE_BODY_BYTES && !has_no_body => {
            ResponseBody::Whole(Some(read_whole(body, length).await?))
        }
        _ => ResponseBody::Streamed(body),
    };
    Ok(Response::from_parts(head, body))
}

/// Reads the `length` bytes a body is known to have.
///
/// # Errors
/// The body's own.
pub(crate) async fn read_whole<B>(mut body: B, length: u64) -> Result<Bytes, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut received = 0;
    // It ends with its last byte: what would follow, the end mark or trailers, is not waited for.
    while received < length {
        let Some(frame) = body.frame().await else {
            break;
        };
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        received += data.len() as u64;
        // Nearly always there is one piece, which is passed on as it is.
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_body_is_read_to_its_length() {
        for (pieces, length, expected) in [
            (vec![], 0, ""),
            (vec!["hello"], 5, "hello"),
            (vec!["he", "llo"], 5, "hello"),
            (vec!["h", "e", "llo"], 5, "hello"),
            // A short one ends where it ends; the length in its head is the server's to check.
            (vec!["he"], 5, "he"),
        ] {
            let shown = format!("{pieces:?}");
            let frames = pieces.into_iter().map(|piece| {
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))
            });
            let body = StreamBody::new(futures::stream::iter(frames));
            let read = read_whole(body, length).await;
            assert_eq!(
                read,
                Ok(Bytes::from_static(expected.as_bytes())),
                "from {shown}"
            );
        }
    }
}
