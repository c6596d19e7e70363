//! What is asked: summaries of the month, and what is decided with them.

use std::ops::RangeInclusive;

use chrono::DateTime;

use crate::billing::{self, FEATURE, SUBJECT};
use crate::events::Month;
use crate::load::workload::{Template, Workload};

/// The zones that are asked for by turns. None is ever off UTC, so that all cost the same.
const ZONES: [&str; 4] = ["UTC", "Etc/UTC", "Etc/GMT", "Africa/Abidjan"];

/// By how many quarters of an hour a range may begin after the month, and end before it: less
/// than a day each.
const SHIFTS: u64 = 96;

/// Microseconds of a quarter of an hour.
const QUARTER_MICROS: i64 = 900_000_000;

/// Different requests that a question which is not to be answered from the cache has, half of
/// them for each number of connections. One that comes again within five minutes would be.
pub const VARIATIONS: u64 = SHIFTS * SHIFTS * ZONES.len() as u64;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The tokens of each hour.
    ByHour,
    /// Of each day.
    ByDay,
    /// In all.
    InAll,
    /// The requests of each day to each of four models.
    ByDayAndModel,
    /// The tokens of each day of one customer.
    OfOneSubject,
    /// The tokens of each day, as was asked before.
    Cached,
    /// Whether a customer may use more this month.
    Entitlement,
    /// What a plan of ten charges comes to.
    Estimate,
}

/// Whether a phase has one connection or many; each has requests of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// One request at a time.
    Alone,
    /// Many.
    SideBySide,
}

impl Question {
    /// All of them, in the report's order.
    pub const ALL: [Self; 8] = [
        Self::ByHour,
        Self::ByDay,
        Self::InAll,
        Self::ByDayAndModel,
        Self::OfOneSubject,
        Self::Cached,
        Self::Entitlement,
        Self::Estimate,
    ];

    /// The row's name; also what a baseline is matched by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByHour => "summary by hour",
            Self::ByDay => "summary by day",
            Self::InAll => "summary in all",
            Self::ByDayAndModel => "summary by day, 4 groups",
            Self::OfOneSubject => "summary by day, one subject",
            Self::Cached => "summary by day, cached",
            Self::Entitlement => "entitlement of one subject",
            Self::Estimate => "estimate of 10 charges",
        }
    }

    /// Whether it is a summary that is made anew, for which there is a target.
    pub const fn is_made_anew(self) -> bool {
        !matches!(self, Self::Cached | Self::Entitlement | Self::Estimate)
    }

    /// The share of answers that must come from the cache, in percent: otherwise the row does not
    /// measure what its name says. An entry expires after five minutes at most, so not quite all do.
    pub const fn expected_hits_percent(self) -> RangeInclusive<u64> {
        match self {
            Self::Cached => 99..=100,
            _ => 0..=0,
        }
    }

    /// The request for the whole of the month.
    pub fn request(self, month: Month, token: &str) -> Template {
        self.variation(month, token, 0)
    }

    /// The requests to send.
    pub fn workload(self, month: Month, token: &str, turn: Turn) -> Workload {
        let requests = if self.is_made_anew() {
            let first = match turn {
                Turn::Alone => 0,
                Turn::SideBySide => 1,
            };
            let numbers = (first..VARIATIONS).step_by(2);
            numbers
                .map(|number| self.variation(month, token, number))
                .collect()
        } else {
            vec![self.request(month, token)]
        };
        Workload { requests }
    }

    fn variation(self, month: Month, token: &str, number: u64) -> Template {
        let meter = match self {
            Self::ByHour => "meter=tokens&interval=hour",
            Self::ByDay | Self::Cached => "meter=tokens&interval=day",
            Self::InAll => "meter=tokens&interval=month",
            Self::ByDayAndModel => "meter=requests&interval=day&group_by=model",
            Self::OfOneSubject => {
                let target = summary(month, number, "meter=tokens&interval=day");
                return Template::get(&format!("{target}&subject={SUBJECT}"), Some(token));
            }
            Self::Entitlement => {
                let target =
                    format!("/api/v1/entitlements/check?feature={FEATURE}&subject={SUBJECT}");
                return Template::get(&target, Some(token));
            }
            Self::Estimate => {
                let (target, body) = ("/api/v1/pricing/estimate", billing::estimate());
                return Template::post(target, Some(token), "application/json", &body);
            }
        };
        Template::get(&summary(month, number, meter), Some(token))
    }
}

/// What is asked for of a meter, in the variation of the month with this number.
fn summary(month: Month, variation: u64, meter: &str) -> String {
    let begin = month.since_micros + (variation % SHIFTS) as i64 * QUARTER_MICROS;
    let end = month.since_micros + month.micros() as i64
        - (variation / SHIFTS % SHIFTS) as i64 * QUARTER_MICROS;
    let zone = ZONES[(variation / SHIFTS / SHIFTS) as usize % ZONES.len()];
    format!(
        "/api/v1/usage/summary?{meter}&since={}&until={}&timezone={zone}",
        rfc3339(begin),
        rfc3339(end)
    )
}

fn rfc3339(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// November 2026.
    const MONTH: Month = Month {
        since_micros: 1_793_491_200_000_000,
        days: 30,
    };

    #[test]
    fn targets() {
        for (variation, expected) in [
            (
                0,
                "since=2026-11-01T00:00:00Z&until=2026-12-01T00:00:00Z&timezone=UTC",
            ),
            (
                97,
                "since=2026-11-01T00:15:00Z&until=2026-11-30T23:45:00Z&timezone=UTC",
            ),
            (
                VARIATIONS - 1,
                "since=2026-11-01T23:45:00Z&until=2026-11-30T00:15:00Z&timezone=Africa/Abidjan",
            ),
        ] {
            let target = summary(MONTH, variation, "meter=tokens");
            let expected = format!("/api/v1/usage/summary?meter=tokens&{expected}");
            assert_eq!(target, expected);
        }
    }

    #[test]
    fn what_is_made_anew_is_asked_once() {
        for question in Question::ALL {
            let mut targets = BTreeSet::new();
            let mut count = 0;
            for turn in [Turn::Alone, Turn::SideBySide] {
                for request in question.workload(MONTH, "token", turn).requests {
                    targets.insert(request.as_bytes().to_vec());
                    count += 1;
                }
            }
            let expected = if question.is_made_anew() { count } else { 1 };
            assert_eq!(targets.len(), expected, "{}", question.name());
        }
    }
}
