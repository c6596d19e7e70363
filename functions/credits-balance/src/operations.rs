use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::UserId;
use shared::money::{Currency, Money};

#[shared::body(query)]
pub struct BalanceQuery {
    /// The currency; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
}

/// What a user has in one currency.
#[shared::answer(read)]
pub struct Balance {
    user_id: UserId,
    /// What can be spent now.
    available: Money,
    /// What is reserved for operations under way.
    held: Money,
    /// Both together.
    total: Money,
    /// What was granted and is not effective yet.
    pending: Money,
}

pub const BALANCE: Operation = Operation::new(
    "credits-balance",
    Verb::Get,
    "/api/v1/credits/balance",
    Access::Permission("credits:read"),
)
.tag("credits")
.summary("Show what the caller can spend")
.details("The balance is zero before the first grant. It is exact to the moment: what has become effective or has expired counts as such.")
.query::<BalanceQuery>()
.answers(&[Answer::json::<Balance>(
    200,
    "The balance in one currency.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "available": {"amount": "98.75", "currency": "USD"}, "held": {"amount": "0.00", "currency": "USD"}, "total": {"amount": "98.75", "currency": "USD"}, "pending": {"amount": "0.00", "currency": "USD"}}"#,
)]);
