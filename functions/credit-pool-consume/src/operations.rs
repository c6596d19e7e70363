use shared::credits::{
    Allocation, Description, INSUFFICIENT_CREDITS, TOO_MANY_USAGE_NAMES, Transaction, UsageName,
};
use shared::http::input::PositiveAmount;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::OrganizationId;
use shared::money::Currency;

/// What is spent, and on what.
#[shared::body]
pub struct PoolSpend {
    pub amount: PositiveAmount,
    pub currency: Currency,
    /// Empty when absent.
    pub description: Option<Description>,
    /// The service that is paid for.
    pub service: Option<UsageName>,
    /// The model that is paid for.
    pub model: Option<UsageName>,
}

/// What was spent, and what the caller may still take.
#[shared::answer(read)]
pub struct PoolConsumed {
    transaction: Transaction,
    allocation: Allocation,
}

shared::refusals! {
    ALLOCATION_REQUIRED = 403 "allocation_required", "Nothing of the pool is allocated to you",
        "nothing of the pool is allocated to the caller in this currency.";
    ALLOCATION_USED_UP = 402 "allocation_used_up", "Nothing is left of the allocation",
        "nothing is left of the caller's allocation in its period. The refusal is kept under the Idempotency-Key.";
    ALLOCATION_EXCEEDED = 402 "allocation_exceeded", "The allocation does not suffice",
        "less of the caller's allocation remains in its period than was to be spent; the detail says how much. The refusal is kept under the Idempotency-Key.";
}

pub const CONSUME: Operation = Operation::new(
    "credit-pool-consume",
    Verb::Post,
    "/api/v1/org-billing/organizations/{id}/credit-pool/consume",
    Access::Permission("pool:consume"),
)
.tag("org-billing")
.summary("Spend from an organization's pool")
.details("Needs an allocation too. The pool and the allocation are read under lock: neither is ever exceeded.")
.path_parameter::<OrganizationId>("id")
.idempotent()
.body::<PoolSpend>(r#"{"amount": "1.25", "currency": "USD", "description": "1,250 tokens"}"#)
.statements(2)
.answers(&[Answer::json::<PoolConsumed>(
    201,
    "Spent, now or by an earlier request with this key.",
    r#"{"transaction": {"id": "ctx_0199a2c4e2119e6fb08192a3b4c5d6e7", "kind": "consume", "amount": {"amount": "-1.25", "currency": "USD"}, "available_after": {"amount": "98.75", "currency": "USD"}, "debited": "available", "credited": "consumed", "description": "1,250 tokens", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}, "allocation": {"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "limit": {"amount": "50.00", "currency": "USD"}, "used": {"amount": "1.25", "currency": "USD"}, "remaining": {"amount": "48.75", "currency": "USD"}, "reset": "month", "period_started_at": "2026-11-01T00:00:00.000000Z", "period_ends_at": "2026-12-01T00:00:00.000000Z"}}"#,
)])
.refuses(&[
    &ALLOCATION_USED_UP,
    &ALLOCATION_EXCEEDED,
    &INSUFFICIENT_CREDITS,
    &ALLOCATION_REQUIRED,
    &TOO_MANY_USAGE_NAMES,
]);
