use shared::credits::{Transaction, TransactionsQuery};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::Cursor;

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
.details("Newest first, in all currencies or in one. Of one moment they are in the order of their currencies. Transactions that are added between two pages do not shift them.")
.query::<TransactionsQuery>()
.answers(&[Answer::json::<TransactionPage>(
    200,
    "A page of transactions.",
    r#"{"transactions": [{"id": "ctx_0199a2c4e2119e6fb08192a3b4c5d6e7", "kind": "consume", "amount": {"amount": "-1.25", "currency": "USD"}, "available_after": {"amount": "98.75", "currency": "USD"}, "debited": "available", "credited": "consumed", "description": "1,250 tokens", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}], "next_cursor": "AQAAAAAAAAAC"}"#,
)]);
