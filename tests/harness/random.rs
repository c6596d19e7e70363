//! Seeded randomness, so that a failure can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator (SplitMix64): fast, and good enough to vary tests.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Seeded from `TURNPIKE_TEST_SEED`, or from the clock; prints the seed either way.
    pub fn seeded(test: &str) -> Self {
        let given = std::env::var("TURNPIKE_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(1, |elapsed| u64::from(elapsed.subsec_nanos()))
        });
        println!("{test}: repeat with TURNPIKE_TEST_SEED={seed}");
        Self(seed)
    }

    /// One whose numbers the seed determines.
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, whose numbers do not depend on how many this one gives.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// 64 random bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "this never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end`, exclusive.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// `count` random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}
