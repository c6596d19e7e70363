//! What an alert is defined by.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;

/// Longest name of an alert: what a mail's subject has room for.
const MAX_NAME_CHARS: usize = 100;
/// Longest name of a meter, as `meters` takes it.
const MAX_METER_CHARS: usize = 64;
/// Longest subject, as `usage-events` takes it.
const MAX_SUBJECT_CHARS: usize = 128;
/// Most thresholds of an alert: a tenth of a budget each.
pub const MAX_THRESHOLDS: usize = 10;

/// What an alert adds usage up over, in the organization's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Month,
}

impl Period {
    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn read(value: &Value) -> Result<Self, Invalid> {
        match value.as_str() {
            Some("day") => Ok(Self::Day),
            Some("month") => Ok(Self::Month),
            Some(_) => Err(Invalid::new("invalid", "must be \"day\" or \"month\"")),
            None => Err(Invalid::new("wrong_type", "must be a string")),
        }
    }
}

/// An alert, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub name: String,
    pub meter: String,
    pub subject: Option<String>,
    pub period: Period,
    /// Plain decimals, ascending.
    pub thresholds: Vec<String>,
    pub email: Option<String>,
}

fn thresholds(value: &Value) -> Result<Vec<String>, Invalid> {
    let items = value
        .as_array()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a list"))?;
    if !(1..=MAX_THRESHOLDS).contains(&items.len()) {
        return Err(Invalid::new(
            "wrong_length",
            format!("must have 1 to {MAX_THRESHOLDS} items"),
        ));
    }
    let thresholds = items
        .iter()
        .map(fields::positive_amount)
        .collect::<Result<Vec<_>, _>>()?;
    if !thresholds.is_sorted_by(|lower, higher| lower < higher) {
        return Err(Invalid::new(
            "not_ascending",
            "must ascend, each above the one before",
        ));
    }
    Ok(thresholds.iter().map(ToString::to_string).collect())
}

/// Reads an alert.
///
/// # Errors
/// A 422 that names every wrong, missing and unknown field.
pub fn read(mut fields: Fields) -> Result<Input, Problem> {
    let name = fields.required("name", |value| fields::text(value, 1..=MAX_NAME_CHARS));
    let meter = fields.required("meter", |value| fields::text(value, 1..=MAX_METER_CHARS));
    let subject = fields.optional("subject", |value| {
        fields::text(value, 1..=MAX_SUBJECT_CHARS)
    });
    let period = fields.required("period", Period::read);
    let thresholds = fields.required("thresholds", thresholds);
    let email = fields.optional("email", fields::email);
    fields.finish(|| {
        Some(Input {
            name: name?,
            meter: meter?,
            subject: subject?,
            period: period?,
            thresholds: thresholds?,
            email: email?.map(|email| email.as_str().to_owned()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let with = |name: &str, value: Value| {
            let mut body = json!({
                "name": "Budget", "meter": "tokens", "period": "month", "thresholds": ["1", "2.5"],
            });
            body[name] = value;
            body
        };
        let ten: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
        let eleven: Vec<String> = (1..=11).map(|n| n.to_string()).collect();
        let table = [
            (with("subject", json!("cus_42")), vec![]),
            (with("subject", json!(null)), vec![]),
            (with("period", json!("day")), vec![]),
            (with("thresholds", json!(ten)), vec![]),
            (
                with("thresholds", json!(["999999999999.999999999"])),
                vec![],
            ),
            (with("email", json!("Ops@Example.com")), vec![]),
            (json!({}), vec!["name", "meter", "period", "thresholds"]),
            (with("name", json!("")), vec!["name"]),
            (with("name", json!("n".repeat(101))), vec!["name"]),
            (with("meter", json!(1)), vec!["meter"]),
            (with("subject", json!("")), vec!["subject"]),
            (with("subject", json!("s".repeat(129))), vec!["subject"]),
            (with("period", json!("week")), vec!["period"]),
            (with("period", json!(1)), vec!["period"]),
            (with("thresholds", json!("1")), vec!["thresholds"]),
            (with("thresholds", json!([])), vec!["thresholds"]),
            (with("thresholds", json!(eleven)), vec!["thresholds"]),
            (with("thresholds", json!([1])), vec!["thresholds"]),
            (with("thresholds", json!(["0"])), vec!["thresholds"]),
            (with("thresholds", json!(["-1"])), vec!["thresholds"]),
            (with("thresholds", json!(["1e3"])), vec!["thresholds"]),
            (with("thresholds", json!(["2", "1"])), vec!["thresholds"]),
            (with("thresholds", json!(["1", "1.0"])), vec!["thresholds"]),
            (with("email", json!("ops")), vec!["email"]),
            (with("currency", json!("USD")), vec!["currency"]),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone()).and_then(read).err();
            let errors = errors.map(|problem| problem.errors).unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|error| &*error.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn thresholds_keep_every_digit() {
        let read = thresholds(&json!(["0.000000001", "1.50", "999999999999.999999999"]));
        let expected = ["0.000000001", "1.50", "999999999999.999999999"];
        assert_eq!(read, Ok(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn periods_are_called_the_same_everywhere() {
        for period in [Period::Day, Period::Month] {
            assert_eq!(
                serde_json::to_value(period).ok(),
                Some(json!(period.name()))
            );
        }
    }
}
