use shared::credits::{
    Description, Hold, INSUFFICIENT_CREDITS, TOO_MANY_USAGE_NAMES, Transaction, UsageName,
};
use shared::http::input::{PositiveAmount, Whole};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::CreditHoldId;
use shared::money::Currency;

/// Longest life of a hold in seconds: a day.
const MAX_TTL_SECS: i64 = 24 * 60 * 60;

/// What is to be reserved, for how long, and what for.
#[shared::body]
pub struct NewHold {
    pub amount: PositiveAmount,
    pub currency: Currency,
    /// Empty when absent.
    pub description: Option<Description>,
    /// The service that is paid for.
    pub service: Option<UsageName>,
    /// The model that is paid for.
    pub model: Option<UsageName>,
    /// Seconds until the hold is released by itself, at most a day. A quarter of an hour
    /// when absent or null.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 900)))]
    pub ttl_secs: Option<Whole<1, MAX_TTL_SECS>>,
}

/// What the operation did cost.
#[shared::body]
pub struct HoldCapture {
    pub amount: PositiveAmount,
    /// The hold's; another is a 422 with the code mismatch.
    pub currency: Currency,
}

#[shared::answer(read)]
pub struct Held {
    hold: Hold,
    transaction: Transaction,
}

#[shared::answer(read)]
pub struct HoldShown {
    hold: Hold,
}

#[shared::answer(read)]
pub struct HoldSettled {
    hold: Hold,
    /// A capture, a release of the rest, and a consume of what exceeded the hold, as far
    /// as there was any.
    transactions: Vec<Transaction>,
}

shared::refusals! {
    HOLD_NOT_OPEN = 409 "hold_not_open", "The hold is not open any more",
        "the hold was captured or released, or has expired; the detail says which.";
    TOO_MANY_OPEN_HOLDS = 409 "too_many_open_holds", "The account has too many open holds",
        "the account has 200 open holds.";
}

pub const HOLD: Operation = Operation::new(
    "credits-holds",
    Verb::Post,
    "/api/v1/credits/holds",
    Access::Permission("credits:consume"),
)
.tag("credits")
.summary("Reserve credits")
.details("What is held cannot be spent by others until it is captured, released or the hold expires. What a grant's expiry finds held stays held.")
.idempotent()
.body::<NewHold>(
    r#"{"amount": "5.00", "currency": "USD", "description": "Job 7", "ttl_secs": 900}"#,
)
.answers(&[Answer::json::<Held>(
    201,
    "Held, now or by an earlier request with this key.",
    r#"{"hold": {"id": "hld_0199a2c4e2447b3c8d5e6f708192a3b4", "state": "open", "amount": {"amount": "5.00", "currency": "USD"}, "captured": {"amount": "0.00", "currency": "USD"}, "description": "Job 7", "service": null, "model": null, "expires_at": "2026-11-21T09:45:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z", "settled_at": null}, "transaction": {"id": "ctx_0199a2c4e2558c4d9e6f708192a3b4c5", "kind": "hold", "amount": {"amount": "-5.00", "currency": "USD"}, "available_after": {"amount": "95.00", "currency": "USD"}, "debited": "available", "credited": "held", "description": "Job 7", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}}"#,
)])
.refuses(&[&INSUFFICIENT_CREDITS, &TOO_MANY_OPEN_HOLDS, &TOO_MANY_USAGE_NAMES]);

pub const SHOW: Operation = Operation::new(
    "credits-holds-show",
    Verb::Get,
    "/api/v1/credits/holds/{id}",
    Access::Permission("credits:consume"),
)
.tag("credits")
.summary("Show a hold")
.details("One's own holds only.")
.path_parameter::<CreditHoldId>("id")
.answers(&[Answer::json::<HoldShown>(
    200,
    "The hold.",
    r#"{"hold": {"id": "hld_0199a2c4e2447b3c8d5e6f708192a3b4", "state": "open", "amount": {"amount": "5.00", "currency": "USD"}, "captured": {"amount": "0.00", "currency": "USD"}, "description": "Job 7", "service": null, "model": null, "expires_at": "2026-11-21T09:45:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z", "settled_at": null}}"#,
)]);

pub const CAPTURE: Operation = Operation::new(
    "credits-holds-capture",
    Verb::Post,
    "/api/v1/credits/holds/{id}/capture",
    Access::Permission("credits:consume"),
)
.tag("credits")
.summary("Spend what a held operation cost")
.details("The amount is spent from the hold, and the rest of the hold released. What the amount exceeds the hold by is spent like any other credits; if they do not suffice, nothing is captured, the hold stays open, and the answer is a 402.")
.path_parameter::<CreditHoldId>("id")
.idempotent()
.body::<HoldCapture>(r#"{"amount": "3.20", "currency": "USD"}"#)
.answers(&[Answer::json::<HoldSettled>(
    200,
    "Captured, now or by an earlier request with this key.",
    r#"{"hold": {"id": "hld_0199a2c4e2447b3c8d5e6f708192a3b4", "state": "captured", "amount": {"amount": "5.00", "currency": "USD"}, "captured": {"amount": "3.20", "currency": "USD"}, "description": "Job 7", "service": null, "model": null, "expires_at": "2026-11-21T09:45:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z", "settled_at": "2026-11-21T09:30:00.123456Z"}, "transactions": [{"id": "ctx_0199a2c4e2558c4d9e6f708192a3b4c5", "kind": "capture", "amount": {"amount": "-3.20", "currency": "USD"}, "available_after": {"amount": "95.00", "currency": "USD"}, "debited": "held", "credited": "consumed", "description": "Job 7", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}, {"id": "ctx_0199a2c4e222af70818293a4b5c6d7e8", "kind": "release", "amount": {"amount": "1.80", "currency": "USD"}, "available_after": {"amount": "96.80", "currency": "USD"}, "debited": "held", "credited": "available", "description": "Job 7", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}]}"#,
)])
.refuses(&[&INSUFFICIENT_CREDITS, &HOLD_NOT_OPEN]);

pub const RELEASE: Operation = Operation::new(
    "credits-holds-release",
    Verb::Post,
    "/api/v1/credits/holds/{id}/release",
    Access::Permission("credits:consume"),
)
.tag("credits")
.summary("Give back what a hold reserves")
.path_parameter::<CreditHoldId>("id")
.idempotent()
.answers(&[Answer::json::<HoldSettled>(
    200,
    "Released, now or by an earlier request with this key.",
    r#"{"hold": {"id": "hld_0199a2c4e2447b3c8d5e6f708192a3b4", "state": "released", "amount": {"amount": "5.00", "currency": "USD"}, "captured": {"amount": "0.00", "currency": "USD"}, "description": "Job 7", "service": null, "model": null, "expires_at": "2026-11-21T09:45:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z", "settled_at": "2026-11-21T09:30:00.123456Z"}, "transactions": [{"id": "ctx_0199a2c4e2558c4d9e6f708192a3b4c5", "kind": "release", "amount": {"amount": "5.00", "currency": "USD"}, "available_after": {"amount": "100.00", "currency": "USD"}, "debited": "held", "credited": "available", "description": "Job 7", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}]}"#,
)])
.refuses(&[&HOLD_NOT_OPEN]);
