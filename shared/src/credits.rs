//! Credits as the API shows them, shared by every route that moves or lists them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decimal_text::DecimalText;
use crate::fields::{self, Invalid};
use crate::ids::CreditTransactionId;
use crate::money::{Currency, Money};

/// Longest description in characters: a sentence or two on a statement.
pub const MAX_DESCRIPTION_CHARS: usize = 500;

/// The currency of a request that names none.
pub const DEFAULT_CURRENCY: &str = "USD";

/// One transaction in a user's credit ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// The transaction's id.
    pub id: CreditTransactionId,
    /// `grant` or `consume`.
    pub kind: String,
    /// What it changed: positive for credits that came, negative for spent ones.
    pub amount: Money,
    /// What was available after it.
    pub available_after: Money,
    /// The caller's words.
    pub description: String,
    /// When, RFC 3339 in UTC.
    pub created_at: String,
}

/// A transaction as `transfer_json` in the database writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct TransactionRow {
    id: CreditTransactionId,
    kind: String,
    amount: DecimalText,
    available_after: DecimalText,
    currency: Currency,
    description: String,
    created_at: String,
}

impl From<TransactionRow> for Transaction {
    fn from(row: TransactionRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            amount: Money::new(row.amount.0, row.currency),
            available_after: Money::new(row.available_after.0, row.currency),
            description: row.description,
            created_at: row.created_at,
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
