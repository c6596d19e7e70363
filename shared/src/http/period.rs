//! The days that figures are of, of UTC.

use chrono::{DateTime, Datelike, Days, NaiveDate};

use serde::{Deserialize, Serialize};

use crate::http::input::{FromText, Invalid};
use crate::http::problem::Problem;

/// A day of UTC: `2026-11-21`, of the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub NaiveDate);

impl FromText for Day {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        parse_date(text)
            .map(Self)
            .ok_or_else(|| Invalid::new("invalid", "must be a date such as 2026-11-21"))
    }
}

crate::describe!(Day as "Day", {
    "type": "string", "format": "date",
    "description": "A day of UTC.", "examples": ["2026-11-21"],
});

/// From `since` to before `until`, one day at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub since: NaiveDate,
    /// The day after the last.
    pub until: NaiveDate,
}

impl Period {
    /// The period from `since` to before `until`. Without `until` it is tomorrow, so
    /// that today is in; without `since` it is the first of the month in which the last
    /// day lies. It has at most `max_days`.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn new(
        since: Option<Day>,
        until_given: Option<Day>,
        now_millis: u64,
        max_days: i64,
    ) -> Result<Self, Problem> {
        let until = match until_given {
            Some(Day(until)) => until,
            None => tomorrow(now_millis)?,
        };
        let since = match since {
            Some(Day(since)) => since,
            None => first_of_month(until)?,
        };
        let days = (until - since).num_days();
        if days < 1 {
            let (name, code, message) = match until_given {
                Some(_) => ("until", "too_early", "must be later than since"),
                None => ("since", "too_far_ahead", "must not be after today"),
            };
            return Err(Problem::invalid_parameter(name, code, message));
        }
        if days > max_days {
            return Err(Problem::invalid_parameter(
                "since",
                "range_too_long",
                format!("must be at most {max_days} days before until"),
            ));
        }
        Ok(Self { since, until })
    }
}

/// Reads a date in the one form `2026-11-21`, of the years 1 to 9999.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let is_shaped = text.len() == 10
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_shaped {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (date.year() >= 1).then_some(date)
}

fn tomorrow(now_millis: u64) -> Result<NaiveDate, Problem> {
    let now = i64::try_from(now_millis)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    now.and_then(|now| now.date_naive().checked_add_days(Days::new(1)))
        // A clock of that kind is the host's fault.
        .ok_or_else(Problem::internal)
}

fn first_of_month(until: NaiveDate) -> Result<NaiveDate, Problem> {
    let last = until.checked_sub_days(Days::new(1));
    last.and_then(|last| last.with_day(1))
        .filter(|first| first.year() >= 1)
        .ok_or_else(|| {
            Problem::invalid_parameter("until", "out_of_range", "must be after the first day")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T08:30:00Z.
    const NOW_MILLIS: u64 = 1_795_249_800_000;

    fn period(since: Option<&str>, until: Option<&str>) -> Result<Period, Problem> {
        let day = |name, text: Option<&str>| {
            let day = text.map(Day::from_text).transpose();
            day.map_err(|invalid| Problem::invalid_parameter(name, invalid.code, invalid.message))
        };
        let (since, until) = (day("since", since)?, day("until", until)?);
        Period::new(since, until, NOW_MILLIS, 366)
    }

    #[test]
    fn periods() {
        let table = [
            ((None, None), Ok("2026-11-01 2026-11-22")),
            ((Some("2026-11-21"), None), Ok("2026-11-21 2026-11-22")),
            ((None, Some("2026-03-01")), Ok("2026-02-01 2026-03-01")),
            ((None, Some("2026-03-02")), Ok("2026-03-01 2026-03-02")),
            (
                (Some("2024-01-01"), Some("2025-01-01")),
                Ok("2024-01-01 2025-01-01"),
            ),
            ((Some("2024-01-01"), Some("2025-01-02")), Err("since")),
            ((Some("2024-02-30"), None), Err("since")),
            ((Some("2026-11-22"), None), Err("since")),
            ((Some("2025-11-01"), None), Err("since")),
            ((Some("2026-11-02"), Some("2026-11-02")), Err("until")),
            ((Some("2026-11-02"), Some("2026-11-01")), Err("until")),
            ((None, Some("0001-01-01")), Err("until")),
            ((None, Some("0001-01-02")), Ok("0001-01-01 0001-01-02")),
            (
                (Some("9999-12-30"), Some("9999-12-31")),
                Ok("9999-12-30 9999-12-31"),
            ),
            ((Some("0000-01-01"), None), Err("since")),
            ((Some("2026-1-1"), None), Err("since")),
            ((Some("20260-1-1"), None), Err("since")),
            ((Some("+026-01-01"), None), Err("since")),
            ((Some("2026-11-01T00:00:00Z"), None), Err("since")),
            ((Some(""), None), Err("since")),
            ((None, Some("2026–11–1")), Err("until")),
            ((None, Some("tomorrow")), Err("until")),
        ];
        for ((since, until), expected) in table {
            let got = period(since, until)
                .map(|period| format!("{} {}", period.since, period.until))
                .map_err(|problem| problem.errors[0].field.clone());
            assert_eq!(
                got,
                expected.map(str::to_owned).map_err(Into::into),
                "{since:?} {until:?}"
            );
        }
    }
}
