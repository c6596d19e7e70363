use shared::credits;
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::CreditTransactionId;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{Consumed, Spend};

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "insufficient_credits" => refused.fact("available").map(credits::insufficient),
        "too_many_usage_names" => Some(credits::too_many_usage_names()),
        _ => None,
    }
}

pub async fn consume(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    spend: Spend,
) -> Result<Consumed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        spend.currency.code().to_owned().into(),
        spend.amount.0.into(),
        spend
            .description
            .map_or_else(String::new, String::from)
            .into(),
        spend.service.map(String::from).into(),
        spend.model.map(String::from).into(),
    ];
    let sql = "SELECT credits_consume($1, $2, $3, $4, $5, $6, $7, $8, $9)::text";
    db::call(context, sql, &parameters, refuse).await
}
