//! Credits as the API shows them, shared by every route that moves or lists them.

pub mod grant_terms;
pub mod owner;

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::fields::{self, Fields, Invalid};
use crate::http::problem::Problem;
use crate::ids::{CreditGrantId, CreditHoldId, CreditTransactionId};
use crate::money::decimal_text::DecimalText;
use crate::money::{Currency, Money};

/// Longest description in characters: one or two sentences.
pub const MAX_DESCRIPTION_CHARS: usize = 500;

/// Longest name of a service or a model in characters.
pub const MAX_USAGE_NAME_CHARS: usize = 64;

/// The kinds of transactions. A list can be narrowed to one of them.
pub const TRANSACTION_KINDS: [&str; 9] = [
    "grant", "activate", "consume", "expire", "void", "refund", "hold", "capture", "release",
];

/// One transaction in a user's credit ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// The transaction's id.
    pub id: CreditTransactionId,
    /// One of [`TRANSACTION_KINDS`].
    pub kind: String,
    /// The change: positive for credits that came in, negative for credits that went
    /// out.
    pub amount: Money,
    /// The available balance after it.
    pub available_after: Money,
    /// Where the credits came from.
    pub debited: String,
    /// Where the credits went.
    pub credited: String,
    /// The description that the caller gave.
    pub description: String,
    /// The service that was paid for, if the spender named one.
    pub service: Option<String>,
    /// The model that was paid for, if the spender named one.
    pub model: Option<String>,
    /// When it happened, RFC 3339 in UTC. If it fell due, this is when it fell due.
    pub occurred_at: String,
    /// When it was recorded.
    pub created_at: String,
}

/// A transaction as `transfer_json` in the database writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct TransactionRow {
    id: CreditTransactionId,
    kind: String,
    amount: DecimalText,
    available_after: DecimalText,
    debited: String,
    credited: String,
    currency: Currency,
    description: String,
    // Answers that were stored before spends had names lack these two.
    service: Option<String>,
    model: Option<String>,
    occurred_at: String,
    created_at: String,
}

impl From<TransactionRow> for Transaction {
    fn from(row: TransactionRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            amount: Money::new(row.amount.0, row.currency),
            available_after: Money::new(row.available_after.0, row.currency),
            debited: row.debited,
            credited: row.credited,
            description: row.description,
            service: row.service,
            model: row.model,
            occurred_at: row.occurred_at,
            created_at: row.created_at,
        }
    }
}

/// Credits that were granted at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The grant's id.
    pub id: CreditGrantId,
    /// `paid` or `promotional`.
    pub kind: String,
    /// 0 to 100. Of two grants, the one with the lower priority is spent first.
    pub priority: i32,
    /// `pending` before it is effective, `open` while something is left, else `closed`.
    pub state: String,
    /// The amount that was granted.
    pub amount: Money,
    /// The part of it that is left and not held.
    pub remaining: Money,
    /// The part of it that is held.
    pub held: Money,
    /// The description that the granter gave.
    pub description: String,
    /// When it becomes spendable, RFC 3339 in UTC.
    pub effective_at: String,
    /// When it expires, exclusive. Absent if it does not expire.
    pub expires_at: Option<String>,
    /// When the rest of it was taken back.
    pub voided_at: Option<String>,
    /// When it was granted.
    pub created_at: String,
}

/// A grant as `credit_grant_json` in the database writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct GrantRow {
    id: CreditGrantId,
    kind: String,
    priority: i32,
    state: String,
    amount: DecimalText,
    remaining: DecimalText,
    held: DecimalText,
    currency: Currency,
    description: String,
    effective_at: String,
    expires_at: Option<String>,
    voided_at: Option<String>,
    created_at: String,
}

impl From<GrantRow> for Grant {
    fn from(row: GrantRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            priority: row.priority,
            state: row.state,
            amount: Money::new(row.amount.0, row.currency),
            remaining: Money::new(row.remaining.0, row.currency),
            held: Money::new(row.held.0, row.currency),
            description: row.description,
            effective_at: row.effective_at,
            expires_at: row.expires_at,
            voided_at: row.voided_at,
            created_at: row.created_at,
        }
    }
}

/// Credits that are reserved for an operation under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// The hold's id.
    pub id: CreditHoldId,
    /// `open`, `captured`, `released` or `expired`.
    pub state: String,
    /// The amount that was reserved.
    pub amount: Money,
    /// The amount that was spent in the end, from the hold and beyond it.
    pub captured: Money,
    /// The description that the caller gave.
    pub description: String,
    /// The service to be paid for, if the caller named one.
    pub service: Option<String>,
    /// The model to be paid for, if the caller named one.
    pub model: Option<String>,
    /// When it is released automatically, RFC 3339 in UTC.
    pub expires_at: String,
    /// When it was created.
    pub created_at: String,
    /// When it was captured, released or expired.
    pub settled_at: Option<String>,
}

/// A hold as `credit_hold_json` in the database writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct HoldRow {
    id: CreditHoldId,
    state: String,
    amount: DecimalText,
    captured: DecimalText,
    currency: Currency,
    description: String,
    service: Option<String>,
    model: Option<String>,
    expires_at: String,
    created_at: String,
    settled_at: Option<String>,
}

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        Self {
            id: row.id,
            state: row.state,
            amount: Money::new(row.amount.0, row.currency),
            captured: Money::new(row.captured.0, row.currency),
            description: row.description,
            service: row.service,
            model: row.model,
            expires_at: row.expires_at,
            created_at: row.created_at,
            settled_at: row.settled_at,
        }
    }
}

/// Reads a transaction's description.
///
/// # Errors
/// `wrong_type`, `invalid_character` or `wrong_length`.
pub fn description(value: &Value) -> Result<String, Invalid> {
    fields::text(value, 0..=MAX_DESCRIPTION_CHARS)
}

/// What was paid for, as the spender names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageNames {
    /// The service.
    pub service: Option<String>,
    /// The model.
    pub model: Option<String>,
}

impl UsageNames {
    /// Takes the optional fields `service` and `model` of a request that spends or
    /// holds credits.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let service = fields.optional("service", usage_name);
        let model = fields.optional("model", usage_name);
        Some(Self {
            service: service?,
            model: model?,
        })
    }
}

/// Reads a name that usage is grouped by. Lists and files show it, so it has no control
/// characters and no spaces around it.
fn usage_name(value: &Value) -> Result<String, Invalid> {
    let name = fields::text(value, 1..=MAX_USAGE_NAME_CHARS)?;
    if name.chars().any(char::is_control) || name.trim() != name {
        return Err(Invalid::new(
            "invalid_character",
            "must have no control characters, and no spaces at its ends",
        ));
    }
    Ok(name)
}

/// 409: the names of the spend are new today, and today has as many names as it can
/// have.
pub fn too_many_usage_names() -> Problem {
    Problem::new(
        409,
        "too_many_usage_names",
        "The account's spends of today have too many names",
        "Nothing was spent or held. Name services and models, and not single requests.",
    )
}

/// Which transactions a list shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Only of this kind, one of [`TRANSACTION_KINDS`].
    pub kind: Option<String>,
    /// Only those that happened at this time or later, in UTC.
    pub since: Option<NaiveDateTime>,
    /// Only those that happened before this time, in UTC.
    pub until: Option<NaiveDateTime>,
}

impl TransactionFilter {
    /// Reads the three query parameters.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn from_parameters(
        kind: Option<&str>,
        since: Option<&str>,
        until: Option<&str>,
    ) -> Result<Self, Problem> {
        if kind.is_some_and(|kind| !TRANSACTION_KINDS.contains(&kind)) {
            return Err(Problem::invalid_parameter(
                "kind",
                "invalid",
                format!("must be one of {}", TRANSACTION_KINDS.join(", ")),
            ));
        }
        Ok(Self {
            kind: kind.map(str::to_owned),
            since: time_parameter("since", since)?,
            until: time_parameter("until", until)?,
        })
    }
}

fn time_parameter(
    name: &'static str,
    text: Option<&str>,
) -> Result<Option<NaiveDateTime>, Problem> {
    text.map(|text| {
        parse_time(text)
            .ok_or_else(|| Problem::invalid_parameter(name, "invalid", "must be an RFC 3339 time"))
    })
    .transpose()
}

/// Reads an RFC 3339 time, which has an offset, and converts it to UTC. A leap second
/// becomes the second after it, because Postgres has no leap seconds.
pub fn parse_time(text: &str) -> Option<NaiveDateTime> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    DateTime::from_timestamp_micros(time.timestamp_micros()).map(|time| time.naive_utc())
}

/// Reads a time from a field.
///
/// # Errors
/// `wrong_type`, or `invalid`.
pub fn time(value: &Value) -> Result<NaiveDateTime, Invalid> {
    let text = value
        .as_str()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a string"))?;
    parse_time(text).ok_or_else(|| {
        Invalid::new(
            "invalid",
            "must be an RFC 3339 time with an offset, such as \"2026-12-31T23:00:00Z\"",
        )
    })
}

/// 402: less is available than the request spends or holds.
pub fn insufficient(available: Money) -> Problem {
    Problem::new(
        402,
        "insufficient_credits",
        "There are not enough credits",
        format!(
            "{} {} is available; nothing was spent.",
            available.format_amount(),
            available.currency()
        ),
    )
}

/// 422: the amount is in another currency than the credits that it is taken from.
pub fn currency_mismatch(currency: Currency) -> Problem {
    Problem::invalid_field("currency", "mismatch", format!("must be {currency}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usage_names() {
        let table = [
            (json!({}), Ok((None, None))),
            (json!({"service": null}), Ok((None, None))),
            (
                json!({"service": "chat", "model": "gpt x/4:é"}),
                Ok((Some("chat"), Some("gpt x/4:é"))),
            ),
            (json!({"service": "s".repeat(65)}), Err(vec!["service"])),
            (
                json!({"service": "", "model": 1}),
                Err(vec!["service", "model"]),
            ),
            (json!({"model": " x"}), Err(vec!["model"])),
            (json!({"model": "x\u{a0}"}), Err(vec!["model"])),
            (json!({"model": "a\nb"}), Err(vec!["model"])),
            (json!({"model": "a\u{7f}b"}), Err(vec!["model"])),
            (json!({"model": "a\u{85}b"}), Err(vec!["model"])),
            (json!({"model": "a\0b"}), Err(vec!["model"])),
        ];
        for (body, expected) in table {
            let got = Fields::new(body.clone()).and_then(|mut fields| {
                let names = UsageNames::read(&mut fields);
                fields.finish(|| names)
            });
            let expected = expected.map(|(service, model)| UsageNames {
                service: service.map(str::to_owned),
                model: model.map(str::to_owned),
            });
            let got = got.map_err(|problem| {
                let fields = problem.errors.into_iter().map(|e| e.field.into_owned());
                fields.collect::<Vec<_>>()
            });
            let expected =
                expected.map_err(|fields| fields.iter().map(|&f| f.to_owned()).collect());
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn filters() {
        let table = [
            ((None, None, None), Ok(())),
            (
                (
                    Some("expire"),
                    Some("2026-01-01T00:00:00Z"),
                    Some("2026-01-02T00:00:00.5+02:00"),
                ),
                Ok(()),
            ),
            ((Some(""), None, None), Err("kind")),
            ((Some("Grant"), None, None), Err("kind")),
            ((None, Some("yesterday"), None), Err("since")),
            ((None, Some("2026-01-01"), None), Err("since")),
            ((None, None, Some("2026-13-01T00:00:00Z")), Err("until")),
        ];
        for ((kind, since, until), expected) in table {
            let got = TransactionFilter::from_parameters(kind, since, until)
                .map(|_| ())
                .map_err(|p| p.errors[0].field.clone());
            assert_eq!(
                got,
                expected.map_err(Into::into),
                "{kind:?} {since:?} {until:?}"
            );
        }
    }

    #[test]
    fn times() {
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
            (json!("tomorrow"), Err("invalid")),
            (json!(""), Err("invalid")),
            (json!("\0"), Err("invalid")),
            (json!(1_800_000_000), Err("wrong_type")),
            (json!(null), Err("wrong_type")),
        ];
        for (value, expected) in table {
            let got = time(&value)
                .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
                .map_err(|invalid| invalid.code);
            assert_eq!(got, expected.map(str::to_owned), "{value}");
        }
    }
}
