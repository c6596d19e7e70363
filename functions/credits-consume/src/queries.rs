use shared::credits;
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::CreditTransactionId;
use shared::store::db::{self, Refused};
use shared::token::PresentedToken;

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
    token: &PresentedToken,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    spend: Spend,
) -> Result<Consumed, Problem> {
    let currency = spend.currency.code();
    let account = format!("{} {} {currency}", token.organization, token.owner);
    let parameters = vec![
        token.digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        currency.to_owned().into(),
        spend.amount.0.into(),
        spend
            .description
            .map_or_else(String::new, String::from)
            .into(),
        spend.service.map(String::from).into(),
        spend.model.map(String::from).into(),
    ];
    let sql = [
        "SELECT credits_consume($1, $2, $3, $4, $5, $6, $7, $8, $9)::text",
        "SELECT credits_consume_many($1::text[]::bytea[], $2, $3::text[]::bytea[], $4::text[]::uuid[],
                                     $5, $6, $7, $8, $9)::text[]",
    ];
    db::call_together(context, sql, &account, parameters, refuse).await
}
