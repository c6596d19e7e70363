//! What the functions for usage share: how meters are named, what they give, and in which
//! numbers events and filters are written.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};

use crate::http::input::{self, FromText, Invalid};
use crate::http::period;
use crate::http::time::Moment;

/// Minutes of the shortest time that sums are kept for: a bound within would cut one.
const SLOT_MINUTES: u32 = 15;

/// Longest number of an event or a filter as it is written, in bytes: a Decimal has 29
/// digits, a sign and a point.
pub const MAX_NUMBER_BYTES: usize = 32;

/// Largest exponent of a number, either way. Twenty million of the largest, 32
/// digits and 20 more, have 60; a NUMERIC has room for 131,072.
pub const MAX_NUMBER_EXPONENT: u32 = 20;

/// Longest name of a meter, in characters.
pub const MAX_METER_NAME_CHARS: usize = 64;

crate::text_type! {
    /// The name of a meter.
    MeterName, |text| read_name(text), {
        "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$", "minLength": 1, "maxLength": 64,
        "description": "The name of a meter.",
        "examples": ["tokens"],
    }
}

crate::text_type! {
    /// A quantity as the database writes it.
    UsageQuantity, |text| Ok::<_, Invalid>(text.to_owned()), {
        "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
        "description": "A quantity in plain decimal notation, without trailing zeros.",
        "examples": ["812000"],
    }
}

impl UsageQuantity {
    /// Nothing.
    pub fn zero() -> Self {
        Self("0".to_owned())
    }
}

/// What a meter makes of the values of its events.
#[shared::body]
#[derive(Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names of the API")]
pub enum Aggregation {
    Count,
    Sum,
    Min,
    Max,
    Average,
    UniqueCount,
    Latest,
    TimeWeightedSum,
}

impl Aggregation {
    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Average => "average",
            Self::UniqueCount => "unique_count",
            Self::Latest => "latest",
            Self::TimeWeightedSum => "time_weighted_sum",
        }
    }
}

/// The days of zones that begin in the years 1 to 9999 of UTC, whatever the zone: no zone is a
/// day away from UTC.
const LOCAL_DAYS: RangeInclusive<NaiveDate> = {
    let first = NaiveDate::from_ymd_opt(1, 1, 2);
    let last = NaiveDate::from_ymd_opt(9999, 12, 30);
    first.expect("there is such a day")..=last.expect("there is such a day")
};

/// Where sums begin or end: a moment, or midnight of a day in their zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageBound {
    /// In UTC, or in the zone of the sums when it is local.
    pub time: NaiveDateTime,
    /// Whether it is midnight of a day in the zone of the sums.
    pub is_local: bool,
}

crate::describe!(UsageBound as "UsageBound", {
    "type": "string",
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
    "description": "A day such as 2026-11-21, which begins in the zone, or an RFC 3339 time that is a whole quarter of an hour. In the years 1 to 9999 of UTC.",
    "examples": ["2026-11-21", "2026-11-21T09:30:00Z"],
});

impl FromText for UsageBound {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        if let Some(day) = period::parse_date(text) {
            if !LOCAL_DAYS.contains(&day) {
                let message = "must begin in the years 1 to 9999 of UTC in every zone";
                return Err(Invalid::new("out_of_range", message));
            }
            return Ok(Self {
                time: day.and_time(NaiveTime::MIN),
                is_local: true,
            });
        }
        let moment = Moment::from_text(text).map_err(|invalid| match invalid.code {
            "invalid" => Invalid::new(
                "invalid",
                "must be a day such as 2026-11-21, or an RFC 3339 time",
            ),
            _ => invalid,
        })?;
        check_slot(moment)?;
        Ok(Self {
            time: moment.0,
            is_local: false,
        })
    }
}

/// Reads a name of a meter or a feature: both have the same form, so that both can have
/// the same name.
///
/// # Errors
/// `wrong_length`, or `invalid` for other characters.
pub fn read_name(text: &str) -> Result<String, Invalid> {
    let text = input::length(text, 1..=MAX_METER_NAME_CHARS)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "invalid",
        "must begin with a lower-case letter and have only those, digits, '-' and '_'",
    ))
}

/// A number of an event or a filter, which is valid JSON, as it is kept: every number in
/// one way, with all its digits, so that what is equal is written alike. `1.0`, `10e-1` and
/// `1` are `1`; `-0` is `0`.
///
/// Nothing here becomes a float, of which 2^64 + 1 and 2^64 + 2 are the same.
///
/// # Errors
/// `out_of_range` for more than [`MAX_NUMBER_BYTES`] or an exponent beyond
/// [`MAX_NUMBER_EXPONENT`].
pub fn exact_number(text: &str) -> Result<Cow<'_, str>, Invalid> {
    let out_of_range = || {
        Invalid::new(
            "out_of_range",
            format!(
                "a number must have at most {MAX_NUMBER_BYTES} characters and an exponent of at most {MAX_NUMBER_EXPONENT}"
            ),
        )
    };
    if text.len() > MAX_NUMBER_BYTES {
        return Err(out_of_range());
    }
    let mantissa_bytes = text.find(['e', 'E']).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(mantissa_bytes);
    let exponent: i32 = match exponent.get(1..) {
        None => 0,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|exponent: &i32| exponent.unsigned_abs() <= MAX_NUMBER_EXPONENT)
            .ok_or_else(out_of_range)?,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_exponent = mantissa.len() < text.len();
    if whole != "-0" && !has_exponent && !fraction.ends_with('0') {
        return Ok(Cow::Borrowed(text));
    }
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    if !has_exponent {
        let fraction = fraction.trim_end_matches('0');
        return Ok(Cow::Owned(match (whole, fraction) {
            ("0", "") => "0".to_owned(),
            (whole, "") => format!("{sign}{whole}"),
            (whole, fraction) => format!("{sign}{whole}.{fraction}"),
        }));
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let exponent = exponent - length(fraction) + length(&digits[significant.len()..]);
    Ok(Cow::Owned(match significant.trim_start_matches('0') {
        "" => "0".to_owned(),
        significant if exponent == 0 => format!("{sign}{significant}"),
        significant => format!("{sign}{significant}e{exponent}"),
    }))
}

/// Of a part of a number, which is short.
fn length(digits: &str) -> i32 {
    i32::try_from(digits.len()).unwrap_or(i32::MAX)
}

/// Checks a bound of sums: it lies between two of the times that sums are kept for.
///
/// # Errors
/// `not_aligned`.
pub fn check_slot(bound: Moment) -> Result<(), Invalid> {
    let time = bound.0;
    if time.minute().is_multiple_of(SLOT_MINUTES) && time.second() == 0 && time.nanosecond() == 0 {
        return Ok(());
    }
    Err(Invalid::new(
        "not_aligned",
        "must be a whole quarter of an hour",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(MAX_METER_NAME_CHARS + 1);
        let table = [
            ("sso", None),
            ("a1_b-c", None),
            (&long[1..], None),
            (&long, Some("wrong_length")),
            ("", Some("wrong_length")),
            ("Sso", Some("invalid")),
            ("1st", Some("invalid")),
            ("-a", Some("invalid")),
            ("a b", Some("invalid")),
            ("a.b", Some("invalid")),
            ("é", Some("invalid")),
        ];
        for (text, expected) in table {
            let refused = read_name(text).err().map(|invalid| invalid.code);
            assert_eq!(refused, expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_kept_in_one_way() {
        let table = [
            ("0", Ok("0")),
            ("-0", Ok("0")),
            ("-0.0", Ok("0")),
            ("0e5", Ok("0")),
            ("-0.00E-7", Ok("0")),
            ("1", Ok("1")),
            ("1.0", Ok("1")),
            ("1.50", Ok("1.5")),
            ("-0.50", Ok("-0.5")),
            ("0.05", Ok("0.05")),
            ("100", Ok("100")),
            ("100.00", Ok("100")),
            ("10e-1", Ok("1")),
            ("1E0", Ok("1")),
            ("1e2", Ok("1e2")),
            ("1E+02", Ok("1e2")),
            ("100e0", Ok("1e2")),
            ("-1.50e1", Ok("-15")),
            ("0.0125e-3", Ok("125e-7")),
            ("18446744073709551617", Ok("18446744073709551617")),
            ("0.12345678901234567891", Ok("0.12345678901234567891")),
            (
                "12345678901234567890123456789012",
                Ok("12345678901234567890123456789012"),
            ),
            ("123456789012345678901234567890123", Err("out_of_range")),
            ("1e20", Ok("1e20")),
            ("1e-20", Ok("1e-20")),
            ("1e21", Err("out_of_range")),
            ("1e-21", Err("out_of_range")),
            ("1e99999999999999999999", Err("out_of_range")),
        ];
        for (text, expected) in table {
            let got = exact_number(text).map_err(|invalid| invalid.code);
            assert_eq!(got, expected.map(Cow::Borrowed), "{text}");
            // What is kept is kept as it is.
            if let Ok(kept) = got {
                assert_eq!(
                    exact_number(&kept),
                    Ok(Cow::Borrowed(&*kept)),
                    "{text} again"
                );
            }
        }
    }

    #[test]
    fn bounds() {
        let table = [
            ("2026-11-21", Ok(("2026-11-21T00:00:00", true))),
            ("2026-11-21T10:15:00Z", Ok(("2026-11-21T10:15:00", false))),
            (
                "2026-11-21T10:00:00+05:45",
                Ok(("2026-11-21T04:15:00", false)),
            ),
            ("2026-11-21T10:01:00Z", Err("not_aligned")),
            ("2026-11-21T10:00:00.001Z", Err("not_aligned")),
            ("2026-11-21T10:00:00", Err("invalid")),
            ("2026-02-30", Err("invalid")),
            ("2026-1-1", Err("invalid")),
            ("2026- 1- 1", Err("invalid")),
            ("-9999-01-1", Err("invalid")),
            ("-9999-01-01", Err("invalid")),
            ("0000-01-01", Err("invalid")),
            ("0001-01-01", Err("out_of_range")),
            ("0001-01-02", Ok(("0001-01-02T00:00:00", true))),
            ("9999-12-30", Ok(("9999-12-30T00:00:00", true))),
            ("9999-12-31", Err("out_of_range")),
            ("9999-12-31T23:45:00Z", Ok(("9999-12-31T23:45:00", false))),
            ("9999-12-31T23:45:00-00:15", Err("out_of_range")),
            ("+12345-1-1", Err("invalid")),
            ("+12345-01-01", Err("invalid")),
            ("now", Err("invalid")),
        ];
        for (text, expected) in table {
            let got = input::text::<UsageBound>(text).map_err(|invalid| invalid.code);
            let expected = expected.map(|(time, is_local)| UsageBound {
                time: time.parse().expect("the table holds times"),
                is_local,
            });
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn aggregations_are_called_the_same_everywhere() {
        for aggregation in [
            Aggregation::Count,
            Aggregation::Sum,
            Aggregation::Min,
            Aggregation::Max,
            Aggregation::Average,
            Aggregation::UniqueCount,
            Aggregation::Latest,
            Aggregation::TimeWeightedSum,
        ] {
            let name = json!(aggregation.name());
            assert_eq!(serde_json::to_value(aggregation).ok(), Some(name.clone()));
            assert_eq!(input::value::<Aggregation>(&name), Ok(aggregation));
        }
    }
}
