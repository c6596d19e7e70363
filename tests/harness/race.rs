//! Races that go on until enough has raced, however slow the machine is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::random::Random;

/// How long a race may go on for the sake of what has not raced yet.
const PATIENCE: Duration = Duration::from_secs(60);

/// A race of writers and readers.
pub struct Race {
    began: Instant,
    length: Duration,
    writes: AtomicU64,
    reads: AtomicU64,
    hits: AtomicU64,
    enough_writes: u64,
    enough_hits: u64,
}

impl Race {
    /// A race that begins now. It takes `length`, and goes on until there were so many writes, and
    /// so many reads that were answered from the cache.
    pub fn begin(length: Duration, enough_writes: u64, enough_hits: u64) -> Self {
        Self {
            began: Instant::now(),
            length,
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            enough_writes,
            enough_hits,
        }
    }

    /// Whether writers and readers go on.
    pub fn goes_on(&self) -> bool {
        let elapsed = self.began.elapsed();
        elapsed < self.length || (!self.has_raced() && elapsed < PATIENCE)
    }

    /// Counts a write.
    pub fn note_write(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a read.
    pub fn note_read(&self, is_hit: bool) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.hits.fetch_add(u64::from(is_hit), Ordering::SeqCst);
    }

    /// Pauses after every second write, so that readers fill the cache meanwhile: for up to
    /// `longest`, and longer when it takes them longer than the race.
    pub async fn pause(&self, random: &mut Random, longest: Duration) {
        if random.below(2) == 0 {
            let lengths = self.began.elapsed().as_millis() / self.length.as_millis().max(1);
            let longest = longest.as_millis() * (1 + lengths);
            let millis = random.below(u64::try_from(longest).unwrap_or(u64::MAX));
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    /// Says what has raced, and fails if it was not enough.
    #[track_caller]
    pub fn assert_raced(&self, what: &str) {
        let [writes, reads, hits] =
            [&self.writes, &self.reads, &self.hits].map(|count| count.load(Ordering::SeqCst));
        println!("{what}: {writes} writes against {reads} reads, {hits} of them cached");
        assert!(
            self.has_raced(),
            "{what}: {writes} writes and {hits} cached reads are too few for a race"
        );
    }

    fn has_raced(&self) -> bool {
        self.writes.load(Ordering::SeqCst) >= self.enough_writes
            && self.hits.load(Ordering::SeqCst) >= self.enough_hits
    }
}
