//! The intervals that a period of days falls into.

use chrono::{Datelike, Days, Months, NaiveDate};
use shared::http::period::Period;

use crate::operations::TrendInterval;

/// An interval, or as much of it as lies in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The first day of the whole interval, which may be before the period.
    pub whole_starts_on: NaiveDate,
    pub starts_on: NaiveDate,
    /// The day after the last.
    pub ends_on: NaiveDate,
}

impl TrendInterval {
    /// The first day of the interval that `day` lies in. The very first days of
    /// the calendar lie in one that begins with it.
    fn start(self, day: NaiveDate) -> NaiveDate {
        let start = match self {
            Self::Day => Some(day),
            Self::Week => {
                let days = day.weekday().num_days_from_monday();
                day.checked_sub_days(Days::new(u64::from(days)))
            }
            Self::Month => day.with_day(1),
        };
        start.unwrap_or(day)
    }

    fn next(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }

    /// The intervals of the period, in order; `None` if there are more than `max`.
    pub fn intervals(self, period: Period, max: usize) -> Option<Vec<Interval>> {
        let mut intervals = Vec::new();
        let mut start = self.start(period.since);
        while start < period.until {
            if intervals.len() == max {
                return None;
            }
            let next = self.next(start).unwrap_or(period.until);
            intervals.push(Interval {
                whole_starts_on: start,
                starts_on: start.max(period.since),
                ends_on: next.min(period.until),
            });
            start = next;
        }
        Some(intervals)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("the table holds dates")
    }

    fn period(since: &str, until: &str) -> Period {
        Period {
            since: day(since),
            until: day(until),
        }
    }

    #[test]
    fn ranges_fall_into_intervals() {
        /// The unit and the period; the whole start, start and end of each interval.
        type Row<'a> = (
            (TrendInterval, &'a str, &'a str),
            &'a [(&'a str, &'a str, &'a str)],
        );
        let table: [Row<'_>; 7] = [
            (
                (TrendInterval::Day, "2024-02-28", "2024-03-01"),
                &[
                    ("2024-02-28", "2024-02-28", "2024-02-29"),
                    ("2024-02-29", "2024-02-29", "2024-03-01"),
                ],
            ),
            // 2026-12-31 is a Thursday, in the week 53 that ends in 2027.
            (
                (TrendInterval::Week, "2026-12-31", "2027-01-12"),
                &[
                    ("2026-12-28", "2026-12-31", "2027-01-04"),
                    ("2027-01-04", "2027-01-04", "2027-01-11"),
                    ("2027-01-11", "2027-01-11", "2027-01-12"),
                ],
            ),
            (
                (TrendInterval::Week, "2026-11-16", "2026-11-23"),
                &[("2026-11-16", "2026-11-16", "2026-11-23")],
            ),
            (
                (TrendInterval::Month, "2026-01-31", "2026-03-02"),
                &[
                    ("2026-01-01", "2026-01-31", "2026-02-01"),
                    ("2026-02-01", "2026-02-01", "2026-03-01"),
                    ("2026-03-01", "2026-03-01", "2026-03-02"),
                ],
            ),
            (
                (TrendInterval::Month, "2026-12-05", "2026-12-06"),
                &[("2026-12-01", "2026-12-05", "2026-12-06")],
            ),
            (
                (TrendInterval::Week, "0001-01-01", "0001-01-02"),
                &[("0001-01-01", "0001-01-01", "0001-01-02")],
            ),
            (
                (TrendInterval::Month, "9999-12-30", "9999-12-31"),
                &[("9999-12-01", "9999-12-30", "9999-12-31")],
            ),
        ];
        for ((unit, since, until), expected) in table {
            let got = unit.intervals(period(since, until), 10).unwrap_or_default();
            let got: Vec<_> = got
                .iter()
                .map(|i| (i.whole_starts_on, i.starts_on, i.ends_on))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(whole, start, end)| (day(whole), day(start), day(end)))
                .collect();
            assert_eq!(got, expected, "{unit:?} from {since} to {until}");
        }
    }

    #[test]
    fn no_more_intervals_than_asked_for() {
        let (unit, ten) = (TrendInterval::Day, period("2026-11-01", "2026-11-11"));
        assert_eq!(unit.intervals(ten, 10).map(|i| i.len()), Some(10));
        assert_eq!(unit.intervals(ten, 9), None);
    }

    #[test]
    fn intervals_have_names() {
        let unit = |text| input::text::<TrendInterval>(text).ok();
        for interval in [
            TrendInterval::Day,
            TrendInterval::Week,
            TrendInterval::Month,
        ] {
            assert_eq!(unit(interval.as_str()), Some(interval));
            assert_eq!(json!(interval), json!(interval.as_str()));
        }
        for name in ["", "Day", "days", "year", "hour"] {
            assert_eq!(unit(name), None, "{name:?}");
        }
    }
}
