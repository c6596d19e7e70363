//! The events that are stored: so many for each organization, spread evenly over a month.

/// Events of a batch.
pub const EVENTS_PER_BATCH: u64 = 1_000;

/// Models that the usage is grouped by.
pub const MODELS: u64 = 4;

/// Customers of the organization that is measured, and of each other one.
const OWN_SUBJECTS: u64 = 100;
const OTHER_SUBJECTS: u64 = 20;

/// Tokens that an event says at most, less one.
const MAX_TOKENS: u64 = 4_096;

/// The month that the events are of.
#[derive(Clone, Copy, Debug)]
pub struct Month {
    /// When it begins, in microseconds since 1970.
    pub since_micros: i64,
    /// Its days.
    pub days: u32,
}

impl Month {
    /// How long it is.
    pub const fn micros(self) -> u64 {
        self.days as u64 * 86_400_000_000
    }
}

/// What an organization has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its place among the organizations, of which the first is measured.
    pub organization: usize,
    /// Its events.
    pub events: u64,
    /// Its customers.
    subjects: u64,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// When, in microseconds since 1970.
    pub micros: i64,
    /// The number of the customer.
    pub subject: u64,
    /// The number of the model.
    pub model: u64,
    /// What was used.
    pub tokens: u64,
}

/// Half of the events for the first organization, and the rest for the others alike; all for the
/// first if it is the only one.
pub fn shares(events: u64, organizations: u16) -> Vec<Share> {
    let others = u64::from(organizations.saturating_sub(1));
    let own = if others == 0 {
        events
    } else {
        events - events / 2
    };
    let rest = events - own;
    let first = Share {
        organization: 0,
        events: own,
        subjects: OWN_SUBJECTS,
    };
    let others = (0..others).map(|number| Share {
        organization: number as usize + 1,
        events: rest / others + u64::from(number < rest % others),
        subjects: OTHER_SUBJECTS,
    });
    std::iter::once(first).chain(others).collect()
}

impl Share {
    /// What the event with this number says.
    pub const fn content(self, number: u64, month: Month) -> Content {
        Content {
            micros: month.since_micros + (number * (month.micros() / self.events)) as i64,
            subject: number % self.subjects,
            // Each customer uses every model.
            model: number / self.subjects % MODELS,
            tokens: number * 37 % MAX_TOKENS,
        }
    }

    /// Sums that are kept for its customers, at most: in each quarter of an hour one of what each
    /// used, and one for each model of how often; but none without an event.
    pub fn subject_sums(self) -> u64 {
        (31 * 96 * self.subjects * (1 + MODELS)).min(2 * self.events)
    }

    /// What all events together say was used.
    pub fn tokens(self) -> u64 {
        (0..self.events)
            .map(|number| number * 37 % MAX_TOKENS)
            .sum()
    }

    /// The first number of each batch.
    pub fn batches(self) -> impl Iterator<Item = u64> {
        (0..self.events).step_by(EVENTS_PER_BATCH as usize)
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    const MONTH: Month = Month {
        since_micros: 1_000_000,
        days: 31,
    };

    #[test]
    fn every_event_has_an_organization() {
        for (events, organizations, expected) in [
            (10_000, 1, vec![10_000]),
            (10_000, 2, vec![5_000, 5_000]),
            (10_001, 4, vec![5_001, 1_667, 1_667, 1_666]),
            (20_000_000, 3, vec![10_000_000, 5_000_000, 5_000_000]),
        ] {
            let shares = shares(events, organizations);
            let got: Vec<_> = shares.iter().map(|share| share.events).collect();
            assert_eq!(got, expected, "{events} of {organizations}");
            let places: Vec<_> = shares.iter().map(|share| share.organization).collect();
            assert_eq!(places, (0..expected.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sums_are_bounded_by_events_and_by_the_month() {
        for (events, expected) in [(10_000, 20_000), (20_000_000, 1_488_000)] {
            let sums: Vec<_> = shares(events, 1).iter().map(|s| s.subject_sums()).collect();
            assert_eq!(sums, [expected], "{events}");
        }
    }

    #[test]
    fn events_are_within_the_month_and_in_its_order() {
        let end = MONTH.since_micros + MONTH.micros() as i64;
        for share in shares(100_000_000, 1) {
            for number in [0, 1, 99_999_999] {
                let content = share.content(number, MONTH);
                assert!((MONTH.since_micros..end).contains(&content.micros));
            }
            // The last quarter of an hour has events too.
            let last = share.content(share.events - 1, MONTH);
            assert!(last.micros >= end - 900_000_000, "{last:?}");
        }
        let share = shares(10_000, 1)[0];
        let subject_7: std::collections::BTreeSet<_> = (0..10_000)
            .map(|number| share.content(number, MONTH))
            .filter(|content| content.subject == 7)
            .map(|content| content.model)
            .collect();
        assert_eq!(subject_7.len() as u64, MODELS, "a customer uses all models");
        let sum: u64 = (0..10_000).map(|n| share.content(n, MONTH).tokens).sum();
        assert_eq!(share.tokens(), sum);
    }
}
