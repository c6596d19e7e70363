//! The terms on which credits are granted to a user or to a pool.

use chrono::NaiveDateTime;
use serde_json::Value;

use crate::credits;
use crate::http::fields::{self, Fields, Invalid};
use crate::http::problem::Problem;
use crate::money::Money;

/// The largest priority. The smallest is 0, which is spent first.
const MAX_PRIORITY: i32 = 100;

/// The priority of a grant that names none. It is in the middle, so that other grants
/// can go before and after it.
const DEFAULT_PRIORITY: i32 = 50;

/// The kind of a grant that names none.
const DEFAULT_KIND: &str = "paid";

/// A grant as the caller asks for it.
#[derive(Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// The amount.
    pub money: Money,
    /// The description that the granter gave.
    pub description: String,
    /// `paid` or `promotional`.
    pub kind: String,
    /// 0 to 100; lower is spent first.
    pub priority: i32,
    /// When it becomes spendable, in UTC. Now if absent or past.
    pub effective_at: Option<NaiveDateTime>,
    /// When it expires, exclusive, in UTC. Absent if it does not expire.
    pub expires_at: Option<NaiveDateTime>,
}

impl GrantTerms {
    /// Takes the fields of a request that grants credits.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let money = fields::positive_money(fields);
        let description = fields.optional("description", credits::description);
        let kind = fields.optional("kind", kind);
        let priority = fields.optional("priority", priority);
        let effective_at = fields.optional("effective_at", credits::time);
        let expires_at = fields.optional("expires_at", credits::time);
        Some(Self {
            money: money?,
            description: description?.unwrap_or_default(),
            kind: kind?.unwrap_or_else(|| DEFAULT_KIND.to_owned()),
            priority: priority?.unwrap_or(DEFAULT_PRIORITY),
            effective_at: effective_at?,
            expires_at: expires_at?,
        })
    }
}

fn kind(value: &Value) -> Result<String, Invalid> {
    match value.as_str() {
        Some(kind @ ("paid" | "promotional")) => Ok(kind.to_owned()),
        Some(_) => Err(Invalid::new(
            "invalid",
            "must be \"paid\" or \"promotional\"",
        )),
        None => Err(Invalid::new("wrong_type", "must be a string")),
    }
}

fn priority(value: &Value) -> Result<i32, Invalid> {
    let priority = fields::whole_number(value, 0..=i64::from(MAX_PRIORITY))?;
    // The value is at most MAX_PRIORITY, so it fits.
    Ok(i32::try_from(priority).unwrap_or(MAX_PRIORITY))
}

/// Why an account, of a user or a pool, does not take a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantRefusal {
    /// The grant would end before it begins, or has ended already.
    ExpiresTooEarly,
    /// The account has as many grants as it can have.
    TooManyOpenGrants,
    /// The balance would exceed the largest one.
    BalanceLimit,
}

impl From<GrantRefusal> for Problem {
    fn from(refusal: GrantRefusal) -> Self {
        match refusal {
            GrantRefusal::ExpiresTooEarly => Self::invalid_field(
                "expires_at",
                "too_early",
                "must be later than now and than effective_at",
            ),
            GrantRefusal::TooManyOpenGrants => Self::new(
                409,
                "too_many_open_grants",
                "The account has too many open grants",
                "Nothing was granted. Void a grant, or wait until one is spent or expires.",
            ),
            GrantRefusal::BalanceLimit => Self::invalid_field(
                "amount",
                "balance_limit",
                "would raise the account above the largest balance",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<GrantTerms, Problem> {
        let mut fields = Fields::new(body)?;
        let terms = GrantTerms::read(&mut fields);
        fields.finish(|| terms)
    }

    #[test]
    fn bodies() {
        let with = |field: &str, value: Value| {
            let mut body = json!({"amount": "1", "currency": "USD"});
            body[field] = value;
            body
        };
        let table = [
            (with("amount", json!("1.25")), vec![]),
            (json!({}), vec!["amount", "currency"]),
            (with("amount", json!("0")), vec!["amount"]),
            (with("amount", json!(5)), vec!["amount"]),
            (with("kind", json!("promotional")), vec![]),
            (with("kind", json!("free")), vec!["kind"]),
            (with("kind", json!(1)), vec!["kind"]),
            (with("priority", json!(0)), vec![]),
            (with("priority", json!(100)), vec![]),
            (with("priority", json!(101)), vec!["priority"]),
            (with("priority", json!(-1)), vec!["priority"]),
            (with("priority", json!("50")), vec!["priority"]),
            (with("effective_at", json!("2026-11-21T09:30:00Z")), vec![]),
            (with("effective_at", json!("soon")), vec!["effective_at"]),
            (
                with("expires_at", json!("2026-11-21T09:30:00+01:00")),
                vec![],
            ),
            (with("expires_at", json!("2026-11-21")), vec!["expires_at"]),
            (with("expires_at", json!(null)), vec![]),
            (with("user", json!("ada")), vec!["user"]),
        ];
        for (body, expected) in table {
            let errors = read(body.clone())
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn a_grant_that_says_nothing_is_paid_and_in_the_middle() {
        let terms = read(json!({"amount": "1", "currency": "USD"})).expect("the body is valid");
        assert_eq!((&*terms.kind, terms.priority), ("paid", 50));
        assert_eq!((terms.effective_at, terms.expires_at), (None, None));
    }
}
