//! As much of an HTTP/1.1 response as the load generator needs to read.

use anyhow::{Context, Result, bail, ensure};

/// A head that has not ended within this is refused: Turnpike's have about 300 bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// What was read of a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Whether it says `x-cache: hit`.
    pub is_cache_hit: bool,
    /// Whether it says `x-cache: miss`.
    pub is_cache_miss: bool,
    /// Bytes of the head, its empty line included.
    pub head_bytes: usize,
    /// Bytes of the body.
    pub body_bytes: usize,
}

/// The head at the start of `received`, or `None` until it is complete.
///
/// # Errors
/// The response is malformed, or does not say how long its body is.
pub fn read_head(received: &[u8]) -> Result<Option<Head>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        ensure!(
            received.len() < MAX_HEAD_BYTES,
            "the head of a response does not end within {MAX_HEAD_BYTES} bytes"
        );
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end]).context("a head is not UTF-8")?;
    let (status_line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("not a status line of HTTP/1.1: {status_line:?}"))?;
    let mut body_bytes = None;
    let mut is_cache_hit = false;
    let mut is_cache_miss = false;
    for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("not a header: {line:?}"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let bytes = value
                .parse()
                .with_context(|| format!("not a length: {line:?}"))?;
            ensure!(
                body_bytes.replace(bytes).is_none(),
                "two lengths in one head"
            );
        } else if name.eq_ignore_ascii_case("x-cache") {
            is_cache_hit = value == "hit";
            is_cache_miss = value == "miss";
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            bail!("the server closes the connection, so connecting would be measured too");
        }
    }
    Ok(Some(Head {
        status,
        is_cache_hit,
        is_cache_miss,
        head_bytes: end + 4,
        body_bytes: body_bytes.context("a response has no content-length")?,
    }))
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Option<Head>, &str>) {
        let got = read_head(text.as_bytes()).map_err(|error| error.to_string());
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "reading {text:?}"),
            (Err(got), Err(expected)) => assert!(
                got.contains(expected),
                "reading {text:?} must fail with {expected:?}, not {got:?}"
            ),
            (got, expected) => panic!("reading {text:?} gave {got:?}, and not {expected:?}"),
        }
    }

    fn head(status: u16, cache: &str, head_bytes: usize, body_bytes: usize) -> Head {
        Head {
            status,
            is_cache_hit: cache == "hit",
            is_cache_miss: cache == "miss",
            head_bytes,
            body_bytes,
        }
    }

    #[test]
    fn heads() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        let cached = "HTTP/1.1 201 Created\r\nx-cache: hit\r\ncontent-length:0\r\n\r\n";
        let missed = "HTTP/1.1 200 OK\r\nX-Cache: miss\r\ncontent-length: 3\r\n\r\n";
        let bypassed = "HTTP/1.1 200 OK\r\nX-Cache: bypass\r\ncontent-length: 3\r\n\r\n";
        for (text, expected) in [
            (plain, Ok(Some(head(200, "", plain.len(), 12)))),
            (cached, Ok(Some(head(201, "hit", cached.len(), 0)))),
            (missed, Ok(Some(head(200, "miss", missed.len(), 3)))),
            (bypassed, Ok(Some(head(200, "", bypassed.len(), 3)))),
            ("", Ok(None)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n", Ok(None)),
            ("HTTP/1.1 200 OK\r\n\r\n", Err("no content-length")),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                Err("no content-length"),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
                Err("not a length"),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
                Err("two lengths"),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n",
                Err("closes the connection"),
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", Err("not a status line")),
            ("HTTP/1.1 OK\r\n\r\n", Err("not a status line")),
            ("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Err("not a header")),
        ] {
            check(text, expected);
        }
        check(&"x".repeat(MAX_HEAD_BYTES), Err("does not end"));
        // What follows the head is the body's business.
        check(
            &format!("{plain}\r\n\r\n"),
            Ok(Some(head(200, "", plain.len(), 12))),
        );
    }
}
