//! The terms on which credits are granted to a user or to a pool.

use chrono::NaiveDateTime;

use crate::credits::{Description, GrantKind};
use crate::http::input::{PositiveAmount, Whole};
use crate::http::time::Moment;
use crate::money::{Currency, Money};

/// The priority of a grant that names none. It is in the middle, so that other grants
/// can go before and after it.
const DEFAULT_PRIORITY: i32 = 50;

/// A priority: 0 is spent first, 100 last.
pub type Priority = Whole<0, 100>;

/// What is granted, and on which terms.
#[shared::body]
pub struct GrantTerms {
    /// How much.
    pub amount: PositiveAmount,
    /// In which currency.
    pub currency: Currency,
    /// The granter's words. Empty when absent.
    pub description: Option<Description>,
    /// paid when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "paid")))]
    pub kind: Option<GrantKind>,
    /// 0 is spent first, 100 last. 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub priority: Option<Priority>,
    /// From when on it can be spent: now when absent, null or in the past.
    pub effective_at: Option<Moment>,
    /// Until when, exclusive. It does not expire when absent or null.
    pub expires_at: Option<Moment>,
}

impl GrantTerms {
    /// The amount with its currency.
    pub const fn money(&self) -> Money {
        Money::new(self.amount.0, self.currency)
    }

    /// The description; empty when none was given.
    pub fn description(&self) -> String {
        self.description.as_deref().unwrap_or_default().to_owned()
    }

    /// The kind's name.
    pub fn kind(&self) -> String {
        self.kind.unwrap_or_default().as_str().to_owned()
    }

    /// The priority, from 0 to 100.
    pub fn priority(&self) -> i32 {
        let given = self.priority.and_then(|given| i32::try_from(given.0).ok());
        given.unwrap_or(DEFAULT_PRIORITY)
    }

    /// When it becomes spendable, in UTC. Now if absent or past.
    pub fn effective_at(&self) -> Option<NaiveDateTime> {
        self.effective_at.map(|moment| moment.0)
    }

    /// When it expires, exclusive, in UTC. Absent if it does not expire.
    pub fn expires_at(&self) -> Option<NaiveDateTime> {
        self.expires_at.map(|moment| moment.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::input;

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
            let errors = input::value_at::<GrantTerms>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn a_grant_that_says_nothing_is_paid_and_in_the_middle() {
        let body = json!({"amount": "1", "currency": "USD"});
        let terms: GrantTerms = input::value(&body).expect("the body is valid");
        assert_eq!((&*terms.kind(), terms.priority()), ("paid", 50));
        assert_eq!((terms.effective_at(), terms.expires_at()), (None, None));
    }
}
