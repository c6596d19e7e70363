//! How soon answers come, on a machine that may be busy with something else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::response::Response;

/// How long a test asks again for the sake of one answer in time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The quickest answer to each kind of request. A busy machine delays some answers but not all of
/// them, where something that the API waits for delays every one. So a test asks until it has one
/// answer of each kind in time.
pub struct Quickest {
    bound: Duration,
    began: Instant,
    by_kind: BTreeMap<&'static str, Duration>,
}

impl Quickest {
    /// Answers that must come within `bound`.
    pub fn within(bound: Duration) -> Self {
        Self {
            bound,
            began: Instant::now(),
            by_kind: BTreeMap::new(),
        }
    }

    /// Notes how long an answer took.
    pub fn note(&mut self, kind: &'static str, response: &Response) {
        let quickest = self.by_kind.entry(kind).or_insert(response.elapsed);
        *quickest = response.elapsed.min(*quickest);
    }

    /// Whether every kind was answered in time once.
    pub fn is_met(&self) -> bool {
        self.by_kind.values().all(|elapsed| *elapsed <= self.bound)
    }

    /// Whether to ask again: some kind was never answered in time, and it is not too late to.
    pub fn asks_for_more(&self) -> bool {
        !self.is_met() && self.began.elapsed() < PATIENCE
    }

    /// Fails if some kind of request was never answered in time.
    #[track_caller]
    pub fn assert_met(&self) {
        assert!(
            self.is_met(),
            "the quickest answers must come within {:?}, and took {:?}",
            self.bound,
            self.by_kind
        );
    }
}
