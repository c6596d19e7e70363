//! What the functions for usage share: how meters are named, and what they give.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};

use crate::http::input::{self, FromText, Invalid};
use crate::http::time::Moment;

/// Minutes of the shortest time that sums are kept for: a bound within would cut one.
const SLOT_MINUTES: u32 = 15;

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
    "description": "A day such as 2026-11-21, which begins in the zone, or an RFC 3339 time that is a whole quarter of an hour.",
    "examples": ["2026-11-21", "2026-11-21T09:30:00Z"],
});

impl FromText for UsageBound {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        if let Ok(day) = text.parse::<NaiveDate>() {
            // Ten characters in one spelling: the reader also takes "-9999-01-1", a year
            // that Postgres does not have.
            if text.len() == 10 && day.to_string() == text {
                return Ok(Self {
                    time: day.and_time(NaiveTime::MIN),
                    is_local: true,
                });
            }
        }
        let moment = Moment::from_text(text).map_err(|_| {
            Invalid::new(
                "invalid",
                "must be a day such as 2026-11-21, or an RFC 3339 time",
            )
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
