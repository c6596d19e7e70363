//! How values and generations are laid out in the key-value store.
//!
//! The store knows no expiry and may hold anything: an entry carries its own
//! expiry and a checksum, and whatever cannot be read is a miss.

/// A fresh random name for the state of a scope. Two generations are equal
/// only if they are the same write's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(pub [u8; 16]);

const VALUE_MARK: u8 = b'V';
const STABLE_MARK: u8 = b'G';
const WRITING_MARK: u8 = b'W';

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
    /// The entry's bytes in the store.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(VALUE_HEADER_BYTES + self.payload.len() + CHECKSUM_BYTES);
        bytes.push(VALUE_MARK);
        bytes.extend_from_slice(&self.expires_at_millis.to_be_bytes());
        bytes.extend_from_slice(&self.generation.0);
        bytes.extend_from_slice(&self.payload);
        seal(bytes)
    }

    /// Reads an entry; `None` for anything that is not one, whole.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let body = unseal(bytes)?;
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
    /// The state's bytes in the store.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Stable(generation) => {
                let mut bytes = Vec::with_capacity(1 + 16 + CHECKSUM_BYTES);
                bytes.push(STABLE_MARK);
                bytes.extend_from_slice(&generation.0);
                seal(bytes)
            }
            Self::Writing { until_millis } => {
                let mut bytes = Vec::with_capacity(1 + 8 + CHECKSUM_BYTES);
                bytes.push(WRITING_MARK);
                bytes.extend_from_slice(&until_millis.to_be_bytes());
                seal(bytes)
            }
        }
    }

    /// Reads a state; `None` for anything that is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match unseal(bytes)?.split_first()? {
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

fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    (crc32fast::hash(body).to_be_bytes() == *checksum).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_round_trip(expires_at_millis: u64, generation: [u8; 16], payload: Vec<u8>) {
            let entry = Entry { expires_at_millis, generation: Generation(generation), payload };
            prop_assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }

        #[test]
        fn states_round_trip(generation: [u8; 16], until_millis: u64) {
            for state in [ScopeState::Stable(Generation(generation)), ScopeState::Writing { until_millis }] {
                prop_assert_eq!(ScopeState::decode(&state.encode()), Some(state));
            }
        }

        #[test]
        fn garbage_is_a_miss(bytes: Vec<u8>) {
            // A random suffix matches its CRC-32 once in four thousand million.
            prop_assert_eq!(Entry::decode(&bytes), None);
            prop_assert_eq!(ScopeState::decode(&bytes), None);
        }

        #[test]
        fn a_cut_or_changed_entry_is_a_miss(payload: Vec<u8>, at: prop::sample::Index, flip in 1u8..) {
            let entry = Entry { expires_at_millis: 1, generation: Generation([2; 16]), payload };
            let whole = entry.encode();
            let at = at.index(whole.len());
            prop_assert_eq!(Entry::decode(&whole[..at]), None);
            let mut changed = whole;
            changed[at] ^= flip;
            prop_assert_eq!(Entry::decode(&changed), None);
        }
    }

    #[test]
    fn an_entry_is_not_a_state_and_a_state_is_not_an_entry() {
        let entry = Entry {
            expires_at_millis: 1,
            generation: Generation([0; 16]),
            payload: vec![],
        };
        assert_eq!(ScopeState::decode(&entry.encode()), None);
        let state = ScopeState::Stable(Generation([0; 16]));
        assert_eq!(Entry::decode(&state.encode()), None);
    }
}
