//! How values and generations are laid out in the key-value store.
//!
//! The store knows no expiry and may hold anything: an entry carries its own
//! expiry and a checksum, and whatever cannot be read is a miss. The checksum
//! covers the key as well, so that an entry that turns up under another key is
//! no answer to the wrong question.

use std::fmt;

use crate::checksum::crc32;
use crate::http::problem::Problem;

/// A fresh random name for the state of a scope. Two generations are equal
/// only if they are the same write's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(pub [u8; 16]);

/// The store did not answer, or answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreAway;

impl fmt::Display for StoreAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key-value store does not answer")
    }
}

impl std::error::Error for StoreAway {}

impl From<StoreAway> for Problem {
    fn from(_: StoreAway) -> Self {
        Self::unavailable("The key-value store")
    }
}

const VALUE_MARK: u8 = b'V';
const STABLE_MARK: u8 = b'G';
const WRITING_MARK: u8 = b'W';
const MOMENT_MARK: u8 = b'T';

/// Mark, expiry in milliseconds, generation.
const VALUE_HEADER_BYTES: usize = 1 + 8 + 16;
const CHECKSUM_BYTES: usize = 4;

/// A cached value as read back: valid in form, not yet known to be current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds since 1970 after which the entry is dead.
    pub expires_at_millis: u64,
    /// The generation its scope had before the value was read from Postgres.
    pub generation: Generation,
    /// The value, as JSON.
    pub payload: Vec<u8>,
}

impl Entry {
    /// The entry's bytes in the store under `key`.
    pub fn encode(&self, key: &str) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(VALUE_HEADER_BYTES + self.payload.len() + CHECKSUM_BYTES);
        bytes.push(VALUE_MARK);
        bytes.extend_from_slice(&self.expires_at_millis.to_be_bytes());
        bytes.extend_from_slice(&self.generation.0);
        bytes.extend_from_slice(&self.payload);
        seal(key, bytes)
    }

    /// The value, if the payload is one.
    pub fn value<V: serde::de::DeserializeOwned>(&self) -> Option<V> {
        serde_json::from_slice(&self.payload).ok()
    }

    /// Reads an entry; `None` for anything that is not the whole of one that was
    /// written under `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Option<Self> {
        let body = unseal(key, bytes)?;
        let (header, payload) = body.split_at_checked(VALUE_HEADER_BYTES)?;
        if header[0] != VALUE_MARK {
            return None;
        }
        Some(Self {
            expires_at_millis: u64::from_be_bytes(header[1..9].try_into().ok()?),
            generation: Generation(header[9..25].try_into().ok()?),
            payload: payload.to_vec(),
        })
    }
}

/// What the store holds under a scope's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeState {
    /// Values of this generation are current.
    Stable(Generation),
    /// A write is between its announcement and its acknowledgement: nothing
    /// cached may be served or filled until it ends, or until the moment after
    /// which its statement can no longer commit.
    Writing {
        /// Milliseconds since 1970.
        until_millis: u64,
    },
}

impl ScopeState {
    /// The state's bytes in the store under `key`.
    pub fn encode(&self, key: &str) -> Vec<u8> {
        match self {
            Self::Stable(generation) => {
                let mut bytes = Vec::with_capacity(1 + 16 + CHECKSUM_BYTES);
                bytes.push(STABLE_MARK);
                bytes.extend_from_slice(&generation.0);
                seal(key, bytes)
            }
            Self::Writing { until_millis } => {
                let mut bytes = Vec::with_capacity(1 + 8 + CHECKSUM_BYTES);
                bytes.push(WRITING_MARK);
                bytes.extend_from_slice(&until_millis.to_be_bytes());
                seal(key, bytes)
            }
        }
    }

    /// Reads a state; `None` for anything that is not one written under `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Option<Self> {
        match unseal(key, bytes)?.split_first()? {
            (&STABLE_MARK, generation) => {
                Some(Self::Stable(Generation(generation.try_into().ok()?)))
            }
            (&WRITING_MARK, until) => Some(Self::Writing {
                until_millis: u64::from_be_bytes(until.try_into().ok()?),
            }),
            _ => None,
        }
    }
}

/// Whether nobody needs what the store has under `key` any more: a value that has expired, a mark
/// that ran out, or what cannot be read. To take it away is to do what a store does that has no
/// room, so it needs no care about who writes meanwhile.
pub fn is_dead(key: &str, bytes: &[u8], now_millis: u64) -> bool {
    let is_over = |rest: &[u8]| {
        let until = rest.first_chunk().map(|until| u64::from_be_bytes(*until));
        until.is_none_or(|until| until <= now_millis)
    };
    match unseal(key, bytes).and_then(<[u8]>::split_first) {
        Some((&VALUE_MARK | &WRITING_MARK, rest)) => is_over(rest),
        Some((&STABLE_MARK | &MOMENT_MARK, _)) => false,
        Some(_) | None => true,
    }
}

/// A moment's bytes in the store under `key`, in milliseconds since 1970.
pub fn encode_moment(key: &str, millis: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 8 + CHECKSUM_BYTES);
    bytes.push(MOMENT_MARK);
    bytes.extend_from_slice(&millis.to_be_bytes());
    seal(key, bytes)
}

/// Reads a moment; `None` for anything that is not one written under `key`.
pub fn decode_moment(key: &str, bytes: &[u8]) -> Option<u64> {
    match unseal(key, bytes)?.split_first()? {
        (&MOMENT_MARK, millis) => Some(u64::from_be_bytes(millis.try_into().ok()?)),
        _ => None,
    }
}

fn checksum(key: &str, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    crc32(&[key.as_bytes(), body]).to_be_bytes()
}

fn seal(key: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(key, &bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

fn unseal<'a>(key: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (body, found) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    (checksum(key, body) == *found).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "tp1:credit_balance:one";

    proptest! {
        #[test]
        fn entries_round_trip(expires_at_millis: u64, generation: [u8; 16], payload: Vec<u8>) {
            let entry = Entry { expires_at_millis, generation: Generation(generation), payload };
            prop_assert_eq!(Entry::decode(KEY, &entry.encode(KEY)), Some(entry));
        }

        #[test]
        fn states_round_trip(generation: [u8; 16], until_millis: u64) {
            for state in [ScopeState::Stable(Generation(generation)), ScopeState::Writing { until_millis }] {
                prop_assert_eq!(ScopeState::decode(KEY, &state.encode(KEY)), Some(state));
            }
        }

        #[test]
        fn garbage_is_a_miss(bytes: Vec<u8>) {
            // A random suffix matches its CRC-32 once in four thousand million.
            prop_assert_eq!(Entry::decode(KEY, &bytes), None);
            prop_assert_eq!(ScopeState::decode(KEY, &bytes), None);
        }

        #[test]
        fn a_cut_or_changed_entry_is_a_miss(payload: Vec<u8>, at: prop::sample::Index, flip in 1u8..) {
            let entry = Entry { expires_at_millis: 1, generation: Generation([2; 16]), payload };
            let whole = entry.encode(KEY);
            let at = at.index(whole.len());
            prop_assert_eq!(Entry::decode(KEY, &whole[..at]), None);
            let mut changed = whole;
            changed[at] ^= flip;
            prop_assert_eq!(Entry::decode(KEY, &changed), None);
        }
    }

    #[test]
    fn what_was_written_under_another_key_is_a_miss() {
        let entry = Entry {
            expires_at_millis: 1,
            generation: Generation([0; 16]),
            payload: b"{}".to_vec(),
        };
        let state = ScopeState::Stable(Generation([0; 16]));
        for other in ["tp1:credit_balance:two", "tp1:user:one", ""] {
            assert_eq!(Entry::decode(other, &entry.encode(KEY)), None, "{other}");
            assert_eq!(
                ScopeState::decode(other, &state.encode(KEY)),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn what_is_dead() {
        let value = Entry {
            expires_at_millis: 1_000,
            generation: Generation([0; 16]),
            payload: b"{}".to_vec(),
        };
        let mark = ScopeState::Writing {
            until_millis: 1_000,
        };
        let state = ScopeState::Stable(Generation([0; 16]));
        let foreign = value.encode("tp1:user:other");
        let table = [
            (value.encode(KEY), 999, false),
            (value.encode(KEY), 1_000, true),
            (mark.encode(KEY), 999, false),
            (mark.encode(KEY), 1_000, true),
            (state.encode(KEY), u64::MAX, false),
            (encode_moment(KEY, 1), u64::MAX, false),
            (foreign, 0, true),
            (b"noise".to_vec(), 0, true),
            (seal(KEY, vec![VALUE_MARK]), 0, true),
            (seal(KEY, b"?".to_vec()), 0, true),
            (vec![], 0, true),
        ];
        for (bytes, now_millis, expected) in table {
            assert_eq!(is_dead(KEY, &bytes, now_millis), expected, "{bytes:?}");
        }
    }

    #[test]
    fn an_entry_is_not_a_state_and_a_state_is_not_an_entry() {
        let entry = Entry {
            expires_at_millis: 1,
            generation: Generation([0; 16]),
            payload: vec![],
        };
        assert_eq!(ScopeState::decode(KEY, &entry.encode(KEY)), None);
        let state = ScopeState::Stable(Generation([0; 16]));
        assert_eq!(Entry::decode(KEY, &state.encode(KEY)), None);
    }
}
