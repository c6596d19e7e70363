use shared::credits;
use shared::credits::owner::CreditOwner;
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::CreditTransactionId;
use shared::money::Money;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{EXCEEDS_REFUNDABLE, Refund, Refunded};

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "not_found" => Some(Problem::not_found(
            "There is no transaction with this transaction_id that spent credits.",
        )),
        "exceeds_refundable" => refused.fact("refundable").map(exceeds_refundable),
        "currency_mismatch" => refused.fact("currency").map(credits::currency_mismatch),
        _ => None,
    }
}

fn exceeds_refundable(refundable: Money) -> Problem {
    EXCEEDS_REFUNDABLE.because(format!(
        "{} {} of the transaction is refundable; nothing was refunded.",
        refundable.format_amount(),
        refundable.currency()
    ))
}

/// Whose credits a transaction moved.
pub async fn owner(
    context: &Context,
    digest: TokenDigest,
    id: CreditTransactionId,
) -> Result<CreditOwner, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT credits_owner($1, NULL, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn refund(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    refund: &Refund,
) -> Result<Refunded, Problem> {
    let money = refund.money();
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        refund.transaction_id.as_uuid().into(),
        money.map(Money::amount).into(),
        money.map(|money| money.currency().code().to_owned()).into(),
    ];
    let sql = "SELECT credits_refund($1, $2, $3, $4, $5, $6, $7)::text";
    db::call(context, sql, &parameters, refuse).await
}
