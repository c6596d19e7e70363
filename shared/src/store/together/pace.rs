//! How long statements of an account take, and so how long a request waits for its answer.

use std::time::Duration;

use super::MAX_REQUESTS;

/// How long statements of an account take.
#[derive(Default)]
pub(super) struct Pace {
    /// When the statement under way was sent, by the instance's clock.
    sent_at: Option<Duration>,
    /// How long the last statement took, and the one before it.
    took: [Option<Duration>; 2],
}

impl Pace {
    pub(super) fn note_sent(&mut self, now: Duration) {
        self.sent_at = Some(now);
    }

    /// Notes that the statement under way has come back. One that failed may have been given up
    /// before its end, so it makes no statement seem shorter than the last one was.
    pub(super) fn note_back(&mut self, now: Duration, has_failed: bool) {
        let Some(sent_at) = self.sent_at.take() else {
            return;
        };
        let mut took = now.saturating_sub(sent_at);
        if has_failed {
            took = took.max(self.took[0].unwrap_or_default());
        }
        self.took = [Some(took), self.took[0]];
    }

    /// Notes that nobody waits for the statement under way.
    pub(super) fn note_gone(&mut self) {
        self.sent_at = None;
    }

    /// How long a request waits for its answer that has `ahead` others before it, beside those of
    /// the statement under way. Nothing is known before two statements have come back, and the
    /// shorter one counts: one that is slow by itself, as when the disk is busy, says little.
    pub(super) fn wait(&self, ahead: usize, now: Duration) -> Option<Duration> {
        let [Some(last), Some(before)] = self.took else {
            return None;
        };
        let took = last.min(before);
        let under_way = self.sent_at.map_or(Duration::ZERO, |sent_at| {
            took.saturating_sub(now.saturating_sub(sent_at))
        });
        let statements = u32::try_from(1 + ahead / MAX_REQUESTS).unwrap_or(u32::MAX);
        Some(under_way.saturating_add(took.saturating_mul(statements)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pace after statements that took so many milliseconds, one after the other, and failed
    /// if they are marked. The next one was sent when they had come back.
    fn pace(statements: &[(u64, bool)]) -> (Pace, Duration) {
        let mut pace = Pace::default();
        let mut now = Duration::from_secs(1);
        for (millis, has_failed) in statements {
            pace.note_sent(now);
            now += Duration::from_millis(*millis);
            pace.note_back(now, *has_failed);
        }
        pace.note_sent(now);
        (pace, now)
    }

    #[test]
    fn what_is_ahead_says_how_long_one_waits() {
        const BACK: bool = false;
        const FAILED: bool = true;
        /// Statements, since when the last one is under way, how many wait, and the wait.
        type Row = (&'static [(u64, bool)], u64, usize, Option<u64>);
        let table: [Row; 14] = [
            // Nothing is known, or too little.
            (&[], 0, 0, None),
            (&[(1_000, BACK)], 0, 0, None),
            // What is left of the statement under way, and then one's own.
            (&[(10, BACK), (10, BACK)], 0, 0, Some(20)),
            (&[(10, BACK), (10, BACK)], 4, 0, Some(16)),
            (&[(10, BACK), (10, BACK)], 500, 0, Some(10)),
            // As many as one statement is for make no difference, and more do.
            (&[(10, BACK), (10, BACK)], 0, MAX_REQUESTS - 1, Some(20)),
            (&[(10, BACK), (10, BACK)], 0, MAX_REQUESTS, Some(30)),
            (&[(10, BACK), (10, BACK)], 0, 5 * MAX_REQUESTS, Some(70)),
            // One that is slow by itself does not count, whichever it is.
            (&[(10, BACK), (1_400, BACK)], 0, 0, Some(20)),
            (&[(1_400, BACK), (10, BACK)], 0, 0, Some(20)),
            (&[(900, BACK), (1_400, BACK)], 0, 0, Some(1_800)),
            (&[(900, BACK), (1_400, BACK), (10, BACK)], 0, 0, Some(20)),
            // One that was given up might have taken longer.
            (&[(900, FAILED), (100, FAILED)], 0, 0, Some(1_800)),
            (&[(100, BACK), (900, FAILED)], 0, 0, Some(200)),
        ];
        for (statements, since_sent, ahead, expected) in table {
            let (pace, sent_at) = pace(statements);
            let wait = pace.wait(ahead, sent_at + Duration::from_millis(since_sent));
            let expected = expected.map(Duration::from_millis);
            assert_eq!(wait, expected, "{statements:?}, {since_sent} ms, {ahead}");
        }
    }
}
