//! `Content-Encoding: gzip`, to a bound: a kilobyte can inflate to a megabyte.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::checksum::crc32;
use crate::http::problem::Problem;

/// The body that `compressed` is the gzip of (RFC 1952), in one member. Several members would be
/// as good a gzip, but each costs far more than its bytes, even an empty one.
///
/// # Errors
/// 413 when it has more than `max_bytes`, 400 when it is no gzip, broken, or more than one
/// member.
pub(super) fn inflate(compressed: &[u8], max_bytes: usize) -> Result<Vec<u8>, Problem> {
    let broken = || Problem::malformed_body("The body is not gzip in one member, or is broken.");
    let deflated = after_header(compressed).ok_or_else(broken)?;
    let (body, trailer) = match inflate_deflated(deflated, max_bytes) {
        Inflated::Whole { body, rest } => (body, rest),
        Inflated::TooLarge => return Err(Problem::body_too_large(max_bytes)),
        Inflated::Broken => return Err(broken()),
    };
    if trailer_of(&body).as_slice() == trailer {
        Ok(body)
    } else {
        Err(broken())
    }
}

/// Whether a member's header has the checksum of itself.
const HAS_HEADER_CHECKSUM: u8 = 1 << 1;
/// Whether it has fields with a length before them.
const HAS_EXTRA_FIELDS: u8 = 1 << 2;
/// Whether it has the name of a file, to a zero byte.
const HAS_NAME: u8 = 1 << 3;
/// Whether it has a comment, to a zero byte.
const HAS_COMMENT: u8 = 1 << 4;
/// Bits of the flags that mean nothing yet, and so may not be set.
const RESERVED_FLAGS: u8 = 0b1110_0000;

/// What follows the header of a gzip member; `None` if there is no such header.
fn after_header(member: &[u8]) -> Option<&[u8]> {
    let (&[0x1f, 0x8b, 8, flags, ..], mut rest) = member.split_first_chunk::<10>()? else {
        return None;
    };
    if flags & RESERVED_FLAGS != 0 {
        return None;
    }
    if flags & HAS_EXTRA_FIELDS != 0 {
        let (length, fields) = rest.split_first_chunk()?;
        (_, rest) = fields.split_at_checked(u16::from_le_bytes(*length).into())?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HAS_HEADER_CHECKSUM != 0 {
        let header = member.get(..member.len() - rest.len())?;
        let [low, high, ..] = crc32(&[header]).to_le_bytes();
        rest = rest.strip_prefix(&[low, high])?;
    }
    Some(rest)
}

/// The checksum and the length that end a member.
fn trailer_of(body: &[u8]) -> [u8; 8] {
    let [a, b, c, d] = crc32(&[body]).to_le_bytes();
    // Of a longer body it is the length modulo 2^32.
    let [e, f, g, h, ..] = (body.len() as u64).to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// What came of inflating.
enum Inflated<'a> {
    /// All of it, and what follows the deflated bytes.
    Whole { body: Vec<u8>, rest: &'a [u8] },
    /// It has more bytes than it may.
    TooLarge,
    /// It is not deflated (RFC 1951), or ends too early.
    Broken,
}

/// The first room for a body, as a multiple of its deflated bytes.
const FIRST_ROOM_FACTOR: usize = 4;

fn inflate_deflated(deflated: &[u8], max_bytes: usize) -> Inflated<'_> {
    // One more than may be, to tell a body of that length from a longer one; no
    // more than that is ever inflated.
    let most = max_bytes.saturating_add(1);
    let mut state = Box::<DecompressorOxide>::default();
    let mut room = deflated.len().saturating_mul(FIRST_ROOM_FACTOR).min(most);
    let (mut body, mut filled) = (Vec::new(), 0);
    let mut rest = deflated;
    loop {
        body.resize(room, 0);
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) = decompress(&mut state, rest, &mut body, filled, flags);
        rest = rest.get(read..).unwrap_or_default();
        filled += written;
        match status {
            _ if filled == most => return Inflated::TooLarge,
            TINFLStatus::Done => {
                body.truncate(filled);
                return Inflated::Whole { body, rest };
            }
            TINFLStatus::HasMoreOutput if room < most => {
                room = room.saturating_mul(2).clamp(1, most);
            }
            _ => return Inflated::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        finish(GzEncoder::new(Vec::new(), Compression::best()), bytes)
    }

    fn finish(mut encoder: GzEncoder<Vec<u8>>, bytes: &[u8]) -> Vec<u8> {
        encoder.write_all(bytes).expect("a Vec takes everything");
        encoder.finish().expect("a Vec takes everything")
    }

    /// An empty object behind a header with these flags, and what they announce.
    fn with_header(flags: u8, announced: &[u8]) -> Vec<u8> {
        let mut member = compress(b"{}");
        member[3] = flags;
        member.splice(10..10, announced.iter().copied());
        member
    }

    /// An empty object behind a header with this name and the header's checksum, which may be
    /// wrong in some bits.
    fn with_header_checksum(name: &[u8], wrong_bits: u16) -> Vec<u8> {
        let header = &with_header(HAS_NAME | HAS_HEADER_CHECKSUM, name)[..10 + name.len()];
        let mut checksum = flate2::Crc::new();
        checksum.update(header);
        let checksum = (checksum.sum() & 0xffff) ^ u32::from(wrong_bits);
        let announced = [name, &checksum.to_le_bytes()[..2]].concat();
        with_header(HAS_NAME | HAS_HEADER_CHECKSUM, &announced)
    }

    #[test]
    fn bodies() {
        let (small, bomb) = (compress(b"{}"), compress(&vec![b' '; 1_000_000]));
        assert!(bomb.len() < 2_000, "the bomb is small when it is sent");
        let changed = |from_end: usize| {
            let mut changed = small.clone();
            let place = changed.len() - from_end;
            changed[place] ^= 1;
            changed
        };
        let every_field = GzBuilder::new()
            .extra(*b"ab\x01\x00c")
            .filename("usage.json")
            .comment("usage")
            .mtime(1_700_000_000)
            .write(Vec::new(), Compression::none());
        /// A body, and what it inflates to, or the status of its refusal.
        type Row<'a> = (&'a [u8], Result<&'a [u8], u16>);
        let table: [Row<'_>; 25] = [
            (&small, Ok(b"{}")),
            (&compress(b""), Ok(b"")),
            (&finish(every_field, b"{}"), Ok(b"{}")),
            (&[small.clone(), small.clone()].concat(), Err(400)),
            (&[small.clone(), b"x".to_vec()].concat(), Err(400)),
            (&bomb, Err(413)),
            (&bomb[..bomb.len() - 20], Err(413)),
            (&small[..small.len() - 1], Err(400)),
            (&small[..small.len() - 8], Err(400)),
            (&small[..small.len() - 9], Err(400)),
            (&small[..10], Err(400)),
            (&small[..9], Err(400)),
            (b"", Err(400)),
            (b"{}", Err(400)),
            // The checksum, and the length.
            (&changed(5), Err(400)),
            (&changed(1), Err(400)),
            // Headers.
            (&with_header(1, b""), Ok(b"{}")),
            (&with_header(HAS_NAME, b"a\0"), Ok(b"{}")),
            (&with_header(HAS_NAME, b""), Err(400)),
            (&with_header(HAS_EXTRA_FIELDS, b"\x00\x00"), Ok(b"{}")),
            (&with_header(HAS_EXTRA_FIELDS, b"\xff\xff"), Err(400)),
            (&with_header_checksum(b"a\0", 0), Ok(b"{}")),
            (&with_header_checksum(b"a\0", 1), Err(400)),
            (&with_header(1 << 5, b""), Err(400)),
            (&[&small[..2], &[7], &small[3..]].concat(), Err(400)),
        ];
        for (compressed, expected) in table {
            let got = inflate(compressed, 1_000).map_err(|problem| problem.status);
            assert_eq!(
                got.as_deref(),
                expected.as_ref().map(|b| *b),
                "{compressed:?}"
            );
        }
        for (length, max_bytes, expected) in [
            (1_000, 1_000, Ok(1_000)),
            (1_001, 1_000, Err(413)),
            (1_000_000, 1_000_000, Ok(1_000_000)),
            (0, 0, Ok(0)),
            (1, 0, Err(413)),
        ] {
            let inflated = inflate(&compress(&vec![b' '; length]), max_bytes);
            let got = inflated
                .map(|body| body.len())
                .map_err(|problem| problem.status);
            assert_eq!(got, expected, "{length} bytes of {max_bytes}");
        }
    }

    proptest! {
        #[test]
        fn what_others_compress_is_inflated(
            bytes in prop::collection::vec(0_u8..4, 0..20_000),
            level in 0_u32..10,
        ) {
            let encoder = GzEncoder::new(Vec::new(), Compression::new(level));
            let compressed = finish(encoder, &bytes);
            prop_assert_eq!(inflate(&compressed, bytes.len()), Ok(bytes));
        }

        /// What is damaged is refused, or is the same body nevertheless: some bits of a header
        /// mean nothing.
        #[test]
        fn damage_is_found(
            bytes: Vec<u8>,
            place: prop::sample::Index,
            bits in 1_u8..=255,
        ) {
            let mut compressed = compress(&bytes);
            let place = place.index(compressed.len());
            compressed[place] ^= bits;
            match inflate(&compressed, 100_000) {
                Ok(body) => prop_assert_eq!(body, bytes),
                Err(problem) => prop_assert!(matches!(problem.status, 400 | 413)),
            }
        }
    }
}
