use shared::credits::{
    Description, INSUFFICIENT_CREDITS, TOO_MANY_USAGE_NAMES, Transaction, UsageName,
};
use shared::http::input::PositiveAmount;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::money::Currency;

/// What is spent, and on what.
#[shared::body]
pub struct Spend {
    pub amount: PositiveAmount,
    pub currency: Currency,
    /// Empty when absent.
    pub description: Option<Description>,
    /// The service that is paid for.
    pub service: Option<UsageName>,
    /// The model that is paid for.
    pub model: Option<UsageName>,
}

#[shared::answer(read)]
pub struct Consumed {
    transaction: Transaction,
}

pub const CONSUME: Operation = Operation::new(
    "credits-consume",
    Verb::Post,
    "/api/v1/credits/consume",
    Access::Permission("credits:consume"),
)
.tag("credits")
.summary("Spend the caller's credits")
.details("The balance is read under lock and never goes below zero. Grants are taken from in the order of priority, expiry and age.")
.idempotent()
.body::<Spend>(r#"{"amount": "1.25", "currency": "USD", "description": "1,250 tokens"}"#)
.statements(2)
.answers(&[Answer::json::<Consumed>(
    201,
    "Spent, now or by an earlier request with this key.",
    r#"{"transaction": {"id": "ctx_0199a2c4e2119e6fb08192a3b4c5d6e7", "kind": "consume", "amount": {"amount": "-1.25", "currency": "USD"}, "available_after": {"amount": "98.75", "currency": "USD"}, "debited": "available", "credited": "consumed", "description": "1,250 tokens", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}}"#,
)])
.refuses(&[&INSUFFICIENT_CREDITS, &TOO_MANY_USAGE_NAMES]);
