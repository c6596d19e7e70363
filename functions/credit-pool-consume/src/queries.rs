use shared::credits;
use shared::http::Idempotency;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{CreditTransactionId, OrganizationId};
use shared::money::Money;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{
    ALLOCATION_EXCEEDED, ALLOCATION_REQUIRED, ALLOCATION_USED_UP, PoolConsumed, PoolSpend,
};

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "allocation_required" => Some(ALLOCATION_REQUIRED.because(
            "Somebody who may manage the pool must first say what you may spend in this currency.",
        )),
        "allocation_exceeded" => refused.fact("remaining").map(allocation_exceeded),
        "insufficient_credits" => refused.fact("available").map(credits::insufficient),
        "too_many_usage_names" => Some(credits::too_many_usage_names()),
        _ => None,
    }
}

fn allocation_exceeded(remaining: Money) -> Problem {
    if remaining.is_zero() {
        return ALLOCATION_USED_UP
            .because("Nothing of your allocation remains in this period; nothing was spent.");
    }
    ALLOCATION_EXCEEDED.because(format!(
        "{} {} of your allocation remains in this period; nothing was spent.",
        remaining.format_amount(),
        remaining.currency()
    ))
}

pub async fn consume(
    context: &Context,
    digest: TokenDigest,
    idempotency: &Idempotency,
    id: CreditTransactionId,
    organization_id: OrganizationId,
    spend: PoolSpend,
) -> Result<PoolConsumed, Problem> {
    let currency = spend.currency.code();
    let account = format!("{organization_id} {currency}");
    let parameters = vec![
        digest.0.to_vec().into(),
        idempotency.key.clone().into(),
        idempotency.request_digest.to_vec().into(),
        id.as_uuid().into(),
        organization_id.as_uuid().into(),
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
        "SELECT credit_pool_consume($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text",
        "SELECT credit_pool_consume_many($1::text[]::bytea[], $2, $3::text[]::bytea[], $4::text[]::uuid[],
                                         $5::text[]::uuid[], $6, $7, $8, $9, $10)::text[]",
    ];
    db::call_together(context, sql, &account, parameters, refuse).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exceeded_allocation_says_what_remains() {
        let currency = "USD".parse().expect("USD is a currency");
        for (remaining, code, detail) in [
            ("1.5", "allocation_exceeded", "1.50 USD"),
            ("0.000000001", "allocation_exceeded", "0.000000001 USD"),
            ("0", "allocation_used_up", "Nothing"),
        ] {
            let remaining = Money::parse(remaining, currency).expect("an amount");
            let problem = allocation_exceeded(remaining);
            assert_eq!((problem.status, problem.code), (402, code), "{remaining}");
            assert!(problem.detail.contains(detail), "{}", problem.detail);
        }
    }
}
