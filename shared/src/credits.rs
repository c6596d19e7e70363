//! Credits as the API shows them, shared by every route that moves or lists them.

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decimal_text::DecimalText;
use crate::fields::{self, Invalid};
use crate::ids::{CreditGrantId, CreditHoldId, CreditTransactionId};
use crate::money::{Currency, Money};
use crate::problem::Problem;

/// Longest description in characters: a sentence or two on a statement.
pub const MAX_DESCRIPTION_CHARS: usize = 500;

/// The currency of a request that names none.
pub const DEFAULT_CURRENCY: &str = "USD";

/// The kinds of transactions, as a list can be narrowed to one.
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
    /// What it changed: positive for credits that came, negative for those that went.
    pub amount: Money,
    /// What was available after it.
    pub available_after: Money,
    /// Where the credits were before it.
    pub debited: String,
    /// Where they were after it.
    pub credited: String,
    /// The caller's words.
    pub description: String,
    /// When it came to pass, RFC 3339 in UTC: for what fell due, when it did.
    pub occurred_at: String,
    /// When it was written.
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
            occurred_at: row.occurred_at,
            created_at: row.created_at,
        }
    }
}

/// Credits that were given at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The grant's id.
    pub id: CreditGrantId,
    /// `paid` or `promotional`.
    pub kind: String,
    /// 0 to 100; of two grants the one with the lower priority is spent first.
    pub priority: i32,
    /// `pending` before it is effective, `open` while something is left, else `closed`.
    pub state: String,
    /// What was given.
    pub amount: Money,
    /// What is left of it, and not held.
    pub remaining: Money,
    /// What is held of it.
    pub held: Money,
    /// The granter's words.
    pub description: String,
    /// From when on it can be spent, RFC 3339 in UTC.
    pub effective_at: String,
    /// Until when, exclusive; absent for one that does not expire.
    pub expires_at: Option<String>,
    /// When what was left was taken back.
    pub voided_at: Option<String>,
    /// When it was given.
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
    /// What was reserved.
    pub amount: Money,
    /// What was spent in the end: of the hold, and beyond it.
    pub captured: Money,
    /// The caller's words.
    pub description: String,
    /// When it is released by itself, RFC 3339 in UTC.
    pub expires_at: String,
    /// When it was made.
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

/// Reads a time of RFC 3339, which has an offset, as one in UTC. A leap second
/// is the one that follows it, because Postgres knows none.
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

/// 402: less is available than was to be spent or held.
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

/// 422: the amount is in another currency than what it is taken from.
pub fn currency_mismatch(currency: Currency) -> Problem {
    Problem::invalid_field("currency", "mismatch", format!("must be {currency}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
