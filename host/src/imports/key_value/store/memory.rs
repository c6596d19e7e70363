//! The key-value store in this process.

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Bookkeeping of one entry: key and value handles, the entry itself and its place in the table,
/// about 100 bytes, so that many tiny entries are counted for what they cost.
const ENTRY_OVERHEAD_BYTES: u64 = 100;

/// Entries the table is first sized for, at the 500 bytes an average entry has.
const AVERAGE_ENTRY_BYTES: u64 = 500;

/// The first table never reserves room for more than this many entries.
const MAX_INITIAL_ENTRIES: u64 = 100_000;

#[derive(Clone)]
struct ByteWeight;

impl Weighter<Box<str>, Bytes> for ByteWeight {
    fn weight(&self, key: &Box<str>, value: &Bytes) -> u64 {
        key.len() as u64 + value.len() as u64 + ENTRY_OVERHEAD_BYTES
    }
}

/// A bounded map whose operations neither wait nor fail.
pub(super) struct MemoryStore(Cache<Box<str>, Bytes, ByteWeight>);

impl MemoryStore {
    pub(super) fn new(max_bytes: u64) -> Self {
        let expected = (max_bytes / AVERAGE_ENTRY_BYTES).clamp(1, MAX_INITIAL_ENTRIES);
        Self(Cache::with_weighter(
            expected as usize,
            max_bytes,
            ByteWeight,
        ))
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key).map(|value| value.to_vec())
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) {
        self.0.insert(key.into(), Bytes::copy_from_slice(value));
    }

    pub(super) fn delete(&self, key: &str) {
        self.0.remove(key);
    }

    pub(super) fn exists(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.0.iter().map(|(key, _)| key.into()).collect()
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryStore({} entries)", self.0.len())
    }
}
