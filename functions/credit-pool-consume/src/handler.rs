//! A spend from the pool is bounded twice: by what the pool has, and by what the
//! caller may take of it in a period. Both are decided under lock.

use serde::Serialize;
use shared::billing::org_billing::{self, Allocation};
use shared::credits::{self, Transaction, UsageNames};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::CreditTransactionId;
use shared::money::Money;
use shared::organizations;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

/// A spend, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub money: Money,
    pub description: String,
    pub names: UsageNames,
}

/// What was spent, and what the caller may still take.
#[derive(Serialize)]
pub struct Output {
    pub transaction: Transaction,
    pub allocation: Allocation,
}

/// Why credits were not spent.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Unauthenticated,
    Forbidden,
    NotFound,
    AllocationRequired,
    AllocationExceeded { remaining: Money },
    InsufficientCredits { available: Money },
    TooManyUsageNames,
    IdempotencyKeyReused,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::unauthenticated(),
            Refusal::Forbidden => Self::forbidden("pool:consume"),
            Refusal::NotFound => organizations::not_found(),
            Refusal::AllocationRequired => Self::new(
                403,
                "allocation_required",
                "Nothing of the pool is allocated to you",
                "Somebody who may manage the pool must first say what you may spend in this currency.",
            ),
            Refusal::AllocationExceeded { remaining } => Self::new(
                402,
                "allocation_exceeded",
                "The allocation does not suffice",
                format!(
                    "{} {} of your allocation remains in this period; nothing was spent.",
                    remaining.format_amount(),
                    remaining.currency()
                ),
            ),
            Refusal::InsufficientCredits { available } => credits::insufficient(available),
            Refusal::TooManyUsageNames => credits::too_many_usage_names(),
            Refusal::IdempotencyKeyReused => Self::idempotency_key_reused(),
        }
    }
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let money = fields::positive_money(&mut fields);
    let description = fields.optional("description", credits::description);
    let names = UsageNames::read(&mut fields);
    fields.finish(|| {
        Some(Input {
            money: money?,
            description: description?.unwrap_or_default(),
            names: names?,
        })
    })
}

pub async fn consume(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = org_billing::named(request.path())?;
    let (fields, body) = request.json_fields().await?;
    let input = read(fields)?;
    let idempotency = request.idempotency(&body)?;
    let id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let scopes = [Scope::Pool(organization_id)];
    let write = queries::consume(
        context,
        token.digest,
        &idempotency,
        id,
        organization_id,
        &input,
    );
    let output = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"amount": "1.25", "currency": "USD"}), vec![]),
            (
                json!({"amount": "1", "currency": "JPY", "description": "call", "service": "chat", "model": "m"}),
                vec![],
            ),
            (json!({}), vec!["amount", "currency"]),
            (json!({"amount": "0", "currency": "USD"}), vec!["amount"]),
            (json!({"amount": "1", "currency": "XYZ"}), vec!["currency"]),
            (
                json!({"amount": "1", "currency": "USD", "service": "", "model": "m\n"}),
                vec!["service", "model"],
            ),
            (
                json!({"amount": "1", "currency": "USD", "user_id": "usr_x"}),
                vec!["user_id"],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn an_exceeded_allocation_says_what_remains() {
        let currency = "USD".parse().expect("USD is a currency");
        let remaining = Money::parse("1.5", currency).expect("an amount");
        let problem = Problem::from(Refusal::AllocationExceeded { remaining });
        assert_eq!(problem.status, 402);
        assert!(problem.detail.contains("1.50 USD"), "{}", problem.detail);
    }
}
