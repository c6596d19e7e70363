use shared::credits::{Transaction, TransactionFilter, TransactionKind};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::time::Moment;
use shared::money::Currency;

#[shared::body(query)]
pub struct TransactionsQuery {
    /// The currency; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
    /// Only transactions of this kind.
    pub kind: Option<TransactionKind>,
    /// Only what occurred at this time (RFC 3339) or later.
    pub since: Option<Moment>,
    /// Only what occurred before this time (RFC 3339).
    pub until: Option<Moment>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    pub cursor: Option<Cursor>,
}

impl TransactionsQuery {
    pub const fn filter(&self) -> TransactionFilter {
        TransactionFilter {
            kind: self.kind,
            since: self.since,
            until: self.until,
        }
    }
}

#[shared::answer]
pub struct TransactionPage {
    /// Newest first.
    pub transactions: Vec<Transaction>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

pub const LIST: Operation = Operation::new(
    "credits-transactions",
    Verb::Get,
    "/api/v1/credits/transactions",
    Access::Permission("credits:read"),
)
.tag("credits")
.summary("List the caller's transactions")
.details("Newest first, one currency at a time. Transactions that are added between two pages do not shift them.")
.query::<TransactionsQuery>()
.answers(&[Answer::json::<TransactionPage>(
    200,
    "A page of transactions.",
    r#"{"transactions": [{"id": "ctx_0199a2c4e2119e6fb08192a3b4c5d6e7", "kind": "consume", "amount": {"amount": "-1.25", "currency": "USD"}, "available_after": {"amount": "98.75", "currency": "USD"}, "debited": "available", "credited": "consumed", "description": "1,250 tokens", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}], "next_cursor": "AQAAAAAAAAAC"}"#,
)]);
