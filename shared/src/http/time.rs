//! Moments, as responses and requests give them.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDateTime};

use crate::http::input::{FromText, Invalid};

crate::text_type! {
    /// A moment as the database writes it: RFC 3339 in UTC, with microseconds.
    Time, |text| Ok::<_, crate::http::input::Invalid>(text.to_owned()), {
        "type": "string", "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$",
        "description": "RFC 3339, in UTC, with microseconds.",
        "examples": ["2026-11-21T09:30:00.123456Z"],
    }
}

/// How a time of a year of four digits is written.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

impl Time {
    /// The moment so many milliseconds after 1970 began; `None` beyond the year 9999.
    pub fn from_millis(millis: u64) -> Option<Self> {
        let time = DateTime::from_timestamp_millis(i64::try_from(millis).ok()?)?;
        let text = time.format(TIME_FORMAT).to_string();
        (text.len() == "2026-11-21T09:30:00.123456Z".len()).then_some(Self(text))
    }
}

/// The years of UTC that a moment may lie in: RFC 3339 writes four digits, and Postgres has
/// no year 0.
pub(crate) const YEARS: RangeInclusive<i32> = 1..=9999;

/// A moment as a request gives it: RFC 3339 with an offset. It is kept in UTC, and lies in
/// the years 1 to 9999 there too, so that an answer can repeat it. The type of every time
/// that a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub NaiveDateTime);

impl FromText for Moment {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::within(text, &YEARS)
    }
}

impl Moment {
    /// A moment of these years of UTC, which lie in the years 1 to 9999.
    ///
    /// # Errors
    /// `invalid` for what is no time, `out_of_range` for one of another year.
    pub fn within(text: &str, years: &RangeInclusive<i32>) -> Result<Self, Invalid> {
        // A leap second becomes the second after it, because Postgres has none.
        let time = DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))
            .map(|time| time.naive_utc())
            .ok_or_else(|| {
                Invalid::new(
                    "invalid",
                    "must be an RFC 3339 time with an offset, such as \"2026-12-31T23:00:00Z\"",
                )
            })?;
        if !years.contains(&time.year()) {
            let (first, last) = (years.start(), years.end());
            let message = format!("must lie in the years {first} to {last} of UTC");
            return Err(Invalid::new("out_of_range", message));
        }
        Ok(Self(time))
    }

    /// As answers have it.
    pub fn to_time(self) -> Time {
        Time(self.0.format(TIME_FORMAT).to_string())
    }
}

crate::describe!(Moment as "Moment", {
    "type": "string", "format": "date-time",
    "description": "RFC 3339, with an offset, in the years 1 to 9999 of UTC.",
    "examples": ["2026-12-31T23:00:00Z"],
});

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::input;

    #[test]
    fn moments() {
        let table = [
            (json!("2026-11-21T09:30:00Z"), Ok("2026-11-21T09:30:00")),
            (
                json!("2026-11-21T09:30:00.1234567+02:00"),
                Ok("2026-11-21T07:30:00.123456"),
            ),
            (json!("2016-12-31T23:59:60Z"), Ok("2017-01-01T00:00:00")),
            (json!("2026-11-21T09:30:00"), Err("invalid")),
            (json!("2026-11-21"), Err("invalid")),
            (json!("2026-13-21T09:30:00Z"), Err("invalid")),
            (json!("12026-11-21T09:30:00Z"), Err("invalid")),
            (json!("0001-01-01T00:00:00Z"), Ok("0001-01-01T00:00:00")),
            (
                json!("0000-12-31T19:00:00-05:00"),
                Ok("0001-01-01T00:00:00"),
            ),
            (
                json!("9999-12-31T23:59:59.9999999Z"),
                Ok("9999-12-31T23:59:59.999999"),
            ),
            (json!("9999-12-31T23:59:59-05:00"), Err("out_of_range")),
            (json!("9999-12-31T23:59:60Z"), Err("out_of_range")),
            (json!("0001-01-01T00:00:00+00:01"), Err("out_of_range")),
            (json!("0000-01-01T00:00:00Z"), Err("out_of_range")),
            (json!("-001-01-01T00:00:00Z"), Err("invalid")),
            (json!("+9999-01-01T00:00:00Z"), Err("invalid")),
            (json!("tomorrow"), Err("invalid")),
            (json!(""), Err("invalid")),
            (json!("\0"), Err("invalid_character")),
            (json!(1_800_000_000), Err("wrong_type")),
            (json!(null), Err("wrong_type")),
        ];
        for (value, expected) in table {
            let got = input::value_at::<Moment>(&value, "at").map_err(|errors| errors[0].code);
            let expected = expected.map(|text| Moment(text.parse().expect("this is a time")));
            assert_eq!(got, expected, "{value}");
        }
    }
}
