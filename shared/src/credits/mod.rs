//! Credits as the API shows them, shared by every route that moves or lists them.

pub mod grant;
pub mod grant_terms;
mod hold;
pub mod owner;
pub mod place;
mod pool;
mod transaction;

use crate::http::input::{self, Invalid};
use crate::http::problem::Problem;
use crate::money::{Currency, Money};
use crate::text::layout;

pub use grant::{Grant, GrantKind, GrantState};
pub use hold::{Hold, HoldState};
pub use pool::{Allocation, AllocationReset, CreditPool};
pub use transaction::{
    CreditBucket, Transaction, TransactionFilter, TransactionKind, TransactionsQuery,
};

/// Longest description in characters: one or two sentences.
pub const MAX_DESCRIPTION_CHARS: usize = 500;

/// Longest name of a service or a model in characters.
pub const MAX_USAGE_NAME_CHARS: usize = 64;

crate::text_type! {
    /// The caller's own words for the statement.
    Description, |text| input::length(text, 0..=MAX_DESCRIPTION_CHARS).map(str::to_owned), {
        "type": "string", "pattern": "^[^\\u0000]*$", "maxLength": 500,
        "description": "Words for the statement: at most 500 characters, without NUL.",
        "examples": ["1,250 tokens"],
    }
}

crate::text_type! {
    /// A name that usage is grouped by. Lists and files show it, so it has no control
    /// characters and no spaces around it.
    UsageName, |text| read_usage_name(text), {
        "type": "string", "pattern": input::LINE_PATTERN,
        "minLength": 1, "maxLength": 64,
        "description": "The name of a service or a model that is paid for: 1 to 64 characters, without control characters, and without spaces at its ends.",
        "examples": ["chat"],
    }
}

crate::refusals! {
    /// Less is available than the request spends or holds.
    INSUFFICIENT_CREDITS = 402 "insufficient_credits", "There are not enough credits",
        "less is available than was to be spent or held, and nothing was. The refusal is kept under the Idempotency-Key: use a new key after a top-up.";
    /// Today's spends have as many names as they can have.
    TOO_MANY_USAGE_NAMES = 409 "too_many_usage_names", "The account's spends of today have too many names",
        "the account's spends of today have 1,000 pairs of names, and this one is new.";
}

fn read_usage_name(text: &str) -> Result<String, Invalid> {
    input::length(text, 1..=MAX_USAGE_NAME_CHARS)?;
    if text.chars().any(layout::is_control) || text.trim() != text {
        return Err(Invalid::new(
            "invalid_character",
            "must have no control characters, and no spaces at its ends",
        ));
    }
    Ok(text.to_owned())
}

/// 409: the names of the spend are new today, and today has as many names as it can
/// have.
pub fn too_many_usage_names() -> Problem {
    TOO_MANY_USAGE_NAMES
        .because("Nothing was spent or held. Name services and models, and not single requests.")
}

/// 402: less is available than the request spends or holds.
pub fn insufficient(available: Money) -> Problem {
    INSUFFICIENT_CREDITS.because(format!(
        "{} {} is available; nothing was spent.",
        available.format_amount(),
        available.currency()
    ))
}

/// 422: the amount is in another currency than the credits that it is taken from.
pub fn currency_mismatch(currency: Currency) -> Problem {
    Problem::invalid_field("currency", "mismatch", format!("must be {currency}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_names() {
        let long = "s".repeat(65);
        let table = [
            (json!(null), Ok(None)),
            (json!("chat"), Ok(Some("chat"))),
            (json!("gpt x/4:é"), Ok(Some("gpt x/4:é"))),
            (json!(long), Err("wrong_length")),
            (json!(""), Err("wrong_length")),
            (json!(1), Err("wrong_type")),
            (json!(" x"), Err("invalid_character")),
            (json!("x\u{a0}"), Err("invalid_character")),
            (json!("a\nb"), Err("invalid_character")),
            (json!("a\u{7f}b"), Err("invalid_character")),
            (json!("a\u{85}b"), Err("invalid_character")),
            (json!("a\u{202e}b"), Err("invalid_character")),
            (json!("a\0b"), Err("invalid_character")),
        ];
        for (value, expected) in table {
            let got = input::value_at::<Option<UsageName>>(&value, "service")
                .map(|name| name.map(String::from))
                .map_err(|errors| errors[0].code);
            assert_eq!(got, expected.map(|name| name.map(str::to_owned)), "{value}");
        }
    }

    #[test]
    fn descriptions() {
        let (longest, long) = ("é".repeat(500), "d".repeat(501));
        let table = [
            (json!(""), Ok(())),
            (json!("two\nlines"), Ok(())),
            (json!(longest), Ok(())),
            (json!(long), Err("wrong_length")),
            (json!("a\0b"), Err("invalid_character")),
            (json!(1), Err("wrong_type")),
        ];
        for (value, expected) in table {
            let got = input::value_at::<Description>(&value, "description");
            let got = got.map(|_| ()).map_err(|errors| errors[0].code);
            assert_eq!(got, expected, "{value}");
        }
    }
}
