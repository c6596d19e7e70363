use shared::credits::Transaction;
use shared::http::input::{Invalid, PositiveAmount, Reader};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::NOT_FOUND;
use shared::ids::{CreditTransactionId, OrganizationId, UserId};
use shared::money::{Currency, Money};

/// What is given back: the whole of a transaction, or an amount of it.
#[shared::body(check)]
pub struct Refund {
    pub transaction_id: CreditTransactionId,
    /// With currency. Both absent or null: all that is left to refund.
    pub amount: Option<PositiveAmount>,
    /// The transaction's; another is a 422 with the code mismatch.
    pub currency: Option<Currency>,
}

impl Refund {
    /// The amount with its currency, if it is not the whole.
    pub fn money(&self) -> Option<Money> {
        Some(Money::new(self.amount?.0, self.currency?))
    }

    /// A request gives both an amount and its currency, or none of them.
    fn check(&self, reader: &mut Reader) {
        let missing = match (&self.amount, &self.currency) {
            (Some(_), None) => "currency",
            (None, Some(_)) => "amount",
            _ => return,
        };
        reader.refuse_member(missing, Invalid::new("required", "is required"));
    }
}

#[shared::answer(read)]
pub struct Refunded {
    /// Whose transaction it is; absent when it is the pool's.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The organization that the credits belong to.
    organization_id: OrganizationId,
    transaction: Transaction,
}

shared::refusals! {
    EXCEEDS_REFUNDABLE = 409 "exceeds_refundable", "Less is refundable than was to be refunded",
        "less of the transaction is left to refund; the detail says how much.";
}

pub const REFUND: Operation = Operation::new(
    "credits-refunds",
    Verb::Post,
    "/api/v1/credits/refunds",
    Access::Permission("credits:grant"),
)
.tag("credits")
.summary("Give back what a transaction spent")
.details("The permission reaches users and pools of every organization. Of a transaction of kind consume or capture, in whole or in part, and as often as something is left to refund. It goes back to the grants that the transaction took from, to the last one first; what goes back to a grant that has expired or was voided goes its way at once. What a member spent from a pool in the current period of their allocation can be taken again. Where no transaction with the id spent credits, the answer is a 404.")
.idempotent()
.body::<Refund>(
    r#"{"transaction_id": "ctx_0199a2c4e2119e6fb08192a3b4c5d6e7", "amount": "1.25", "currency": "USD"}"#,
)
.statements(2)
.answers(&[Answer::json::<Refunded>(
    201,
    "Refunded, now or by an earlier request with this key.",
    r#"{"user_id": "usr_0199a2c4e1f07b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "transaction": {"id": "ctx_0199a2c4e2558c4d9e6f708192a3b4c5", "kind": "refund", "amount": {"amount": "1.25", "currency": "USD"}, "available_after": {"amount": "100.00", "currency": "USD"}, "debited": "consumed", "credited": "available", "description": "refund", "service": null, "model": null, "occurred_at": "2026-11-21T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z"}}"#,
)])
.refuses(&[&NOT_FOUND, &EXCEEDS_REFUNDABLE]);
