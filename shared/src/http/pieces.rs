//! Bodies that are too large to be in memory at once, sent piece by piece.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::future::{Either, select};
use spin_sdk::time;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields};
use spin_sdk::wasip3::wit_bindgen::StreamWriter;

use crate::http::context::Context;
use crate::http::problem::Problem;

/// How long a body that is sent piece by piece may take, from the first piece to
/// the last, the client's reading included. At 10,000 rows a second, which a slow
/// link of 25 Mbit/s carries, that is 600,000 rows of 300 bytes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The next piece of a body, none after the last.
pub type NextPiece<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, Problem>> + 'a>>;

/// What follows the first piece of a body that is too large to be in memory at
/// once. A piece is asked for when the one before it has been taken.
pub trait Pieces: fmt::Debug {
    /// The next piece. An error breaks the body off, so that no client takes what
    /// it has for the whole.
    fn next<'a>(&'a mut self, context: &'a Context) -> NextPiece<'a>;
}

/// How a body ends: with trailers, which ours have none of, or broken off.
pub(crate) type End = Result<Option<Fields>, ErrorCode>;

/// Writes all pieces of a body, each when the one before it was taken.
pub(crate) async fn write(
    context: &Context,
    writer: &mut StreamWriter<u8>,
    first: Vec<u8>,
    mut rest: Box<dyn Pieces>,
) -> End {
    let pieces = pin!(async {
        let mut piece = first;
        loop {
            if !writer.write_all(piece).await.is_empty() {
                // The client went away, and nobody is told anything.
                return Ok(None);
            }
            match rest.next(context).await {
                Ok(Some(next)) => piece = next,
                Ok(None) => return Ok(None),
                Err(problem) => return Err(problem.code),
            }
        }
    });
    let timeout = pin!(time::sleep(TIMEOUT));
    let reason = match select(pieces, timeout).await {
        Either::Left((Ok(end), _)) => return Ok(end),
        Either::Left((Err(reason), _)) => reason,
        Either::Right(_) => "it took too long",
    };
    context.log("error", &format!("a body was broken off: {reason}"));
    Err(ErrorCode::InternalError(Some(reason.to_owned())))
}
