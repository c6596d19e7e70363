//! A hold is for what costs an amount that is known only afterwards: reserve what
//! it may cost, do it, capture what it did cost.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{CreditHoldId, CreditTransactionId};
use shared::money::Money;
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::PresentedToken;

use crate::operations::{HoldCapture, NewHold};
use crate::queries;

pub async fn hold(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (hold, body) = request.json::<NewHold>().await?;
    let idempotency = request.idempotency(&body)?;
    let transaction_id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let id = CreditHoldId::new(context.now_millis(), &context.random()?);
    let scopes = [Scope::Credits(token.owner)];
    let write = queries::hold(
        context,
        token.digest,
        &idempotency,
        transaction_id,
        id,
        hold,
    );
    let held = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &held)
}

pub async fn show(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let shown = queries::find(context, token.digest, id).await?;
    Reply::json(200, &shown)
}

pub async fn capture(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    let (capture, body) = request.json::<HoldCapture>().await?;
    let money = Money::new(capture.amount.0, capture.currency);
    settle(context, request, token, id, &body, Some(money)).await
}

pub async fn release(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", queries::not_found)?;
    settle(context, request, token, id, &[], None).await
}

async fn settle(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    id: CreditHoldId,
    body: &[u8],
    money: Option<Money>,
) -> Result<Reply, Problem> {
    let idempotency = request.idempotency(body)?;
    let draw = || {
        Ok::<_, Problem>(CreditTransactionId::new(
            context.now_millis(),
            &context.random()?,
        ))
    };
    let ids = queries::SettlementIds {
        capture: draw()?,
        release: draw()?,
        excess: draw()?,
    };
    let scopes = [Scope::Credits(token.owner)];
    let write = queries::settle(context, token.digest, &idempotency, id, money, ids);
    let settled = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &settled)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input::{self, Input};

    use super::*;

    fn refused<T: Input>(body: &Value) -> Vec<String> {
        let errors = input::value_at::<T>(body, "").err().unwrap_or_default();
        errors.into_iter().map(|e| e.field.into_owned()).collect()
    }

    #[test]
    fn holds_to_make() {
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 1, "description": "job"}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 86_400}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "service": "chat", "model": "small"}),
                vec![],
            ),
            (
                json!({"amount": "1", "currency": "USD", "service": 1, "model": "m".repeat(65)}),
                vec!["service", "model"],
            ),
            (json!({}), vec!["amount", "currency"]),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 0}),
                vec!["ttl_secs"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": 86_401}),
                vec!["ttl_secs"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "ttl_secs": "60"}),
                vec!["ttl_secs"],
            ),
            (
                json!({"amount": "0", "currency": "USD", "expires_at": "x"}),
                vec!["amount", "expires_at"],
            ),
        ];
        for (body, expected) in table {
            let got = refused::<NewHold>(&body);
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn captures() {
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (json!({}), vec!["amount", "currency"]),
            (json!({"amount": "0", "currency": "USD"}), vec!["amount"]),
            (
                json!({"amount": "1", "currency": "USD", "description": "x", "service": "y"}),
                vec!["description", "service"],
            ),
        ];
        for (body, expected) in table {
            let got = refused::<HoldCapture>(&body);
            assert_eq!(got, expected, "{body}");
        }
    }
}
