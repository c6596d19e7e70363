//! `Content-Encoding: gzip`, to a bound: a kilobyte can inflate to a megabyte.

use std::io::Read as _;

use flate2::bufread::GzDecoder;

use crate::http::problem::Problem;

/// The body that `compressed` is the gzip of (RFC 1952), in one member. Several members would be
/// as good a gzip, but each costs far more than its bytes, even an empty one.
///
/// # Errors
/// 413 when it has more than `max_bytes`, 400 when it is no gzip, broken, or more than one
/// member.
pub(super) fn inflate(compressed: &[u8], max_bytes: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    // One more than may be, to tell a body of that length from a longer one; no
    // more than that is ever inflated.
    let most = u64::try_from(max_bytes).unwrap_or(u64::MAX) + 1;
    let mut decoder = GzDecoder::new(compressed).take(most);
    let broken = || Problem::malformed_body("The body is not gzip in one member, or is broken.");
    decoder.read_to_end(&mut body).map_err(|_| broken())?;
    if body.len() > max_bytes {
        return Err(Problem::body_too_large(max_bytes));
    }
    let rest = decoder.into_inner().into_inner();
    if rest.is_empty() {
        Ok(body)
    } else {
        Err(broken())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("a Vec takes everything");
        encoder.finish().expect("a Vec takes everything")
    }

    #[test]
    fn bodies() {
        let (small, bomb) = (compress(b"{}"), compress(&vec![b' '; 1_000_000]));
        assert!(bomb.len() < 2_000, "the bomb is small when it is sent");
        let mut corrupt = small.clone();
        let last = corrupt.len() - 5;
        corrupt[last] ^= 1;
        /// A body, and what it inflates to, or the status of its refusal.
        type Row<'a> = (&'a [u8], Result<&'a [u8], u16>);
        let table: [Row<'_>; 7] = [
            (&small, Ok(b"{}")),
            (&[small.clone(), small.clone()].concat(), Err(400)),
            (&[small.clone(), b"x".to_vec()].concat(), Err(400)),
            (&bomb, Err(413)),
            (&small[..small.len() - 1], Err(400)),
            (&corrupt, Err(400)),
            (b"{}", Err(400)),
        ];
        for (compressed, expected) in table {
            let got = inflate(compressed, 1_000).map_err(|problem| problem.status);
            assert_eq!(
                got.as_deref(),
                expected.as_ref().map(|b| *b),
                "{compressed:?}"
            );
        }
        assert!(
            inflate(&compress(&[b' '; 1_000]), 1_000).is_ok(),
            "to the last byte"
        );
    }
}
