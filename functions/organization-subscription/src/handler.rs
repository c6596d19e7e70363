//! The terms of an organization's subscription. They decide about money, so only
//! whoever manages subscriptions for the platform sets them.
//!
//! Two values are cached: that the token may read, under the sign-in of its user,
//! and the subscription, under its organization. A request is served only by both.

use shared::billing::org_billing::Reader;
use shared::billing::subscription::Subscription;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, RANDOM_BYTES};
use shared::organizations;
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::operations::SubscriptionTerms;
use crate::queries;

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let of = Namespace::Subscription;
    let reader_key = CacheKey::<Reader>::for_reader(token.digest, of, organization_id);
    let reader = cache::look_up(context, reader_key, Scope::Auth(token.owner)).await;
    let key = CacheKey::<Subscription>::for_organization(of, organization_id);
    let cached = cache::look_up(context, key, Scope::Organization(organization_id)).await;
    if let (Lookup::Hit(_), Lookup::Hit(entry)) = (&reader, &cached) {
        return Ok(Reply::from_json_bytes(200, entry.payload.clone()));
    }
    let found = queries::find(context, token.digest, organization_id).await?;
    if let Lookup::Miss(fill) = reader {
        let value = Reader { organization_id };
        fill.store(context, &value, found.token_expires_millis)
            .await;
    }
    if let Lookup::Miss(fill) = cached {
        fill.store(context, &found.subscription, u64::MAX).await;
    }
    Reply::json(200, &found.subscription)
}

pub async fn put(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let (terms, _) = request.json::<SubscriptionTerms>().await?;
    let random: [u8; RANDOM_BYTES] = context.random()?;
    let change_id =
        uuid::Builder::from_unix_timestamp_millis(context.now_millis(), &random).into_uuid();
    let scopes = [Scope::Organization(organization_id)];
    let write = queries::put(context, token.digest, change_id, organization_id, terms);
    let saved = cache::during_write(context, &scopes, write).await?;
    let status = if saved.is_first { 201 } else { 200 };
    Reply::json(status, &saved.subscription)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies() {
        let with = |field: &str, value: Value| {
            let mut body = json!({
                "plan": "team", "seats": 3, "status": "active", "billing_period": "month",
                "seat_price": {"amount": "12.50", "currency": "USD"},
            });
            body[field] = value;
            body
        };
        let table = [
            (with("version", json!(0)), vec![]),
            (with("version", json!(null)), vec![]),
            (
                json!({}),
                vec!["plan", "seats", "status", "billing_period", "seat_price"],
            ),
            (with("plan", json!("a-1_b")), vec![]),
            (with("plan", json!("9")), vec![]),
            (with("plan", json!("")), vec!["plan"]),
            (with("plan", json!("-a")), vec!["plan"]),
            (with("plan", json!("Team")), vec!["plan"]),
            (with("plan", json!("a b")), vec!["plan"]),
            (with("plan", json!("é")), vec!["plan"]),
            (with("plan", json!("a".repeat(64))), vec![]),
            (with("plan", json!("a".repeat(65))), vec!["plan"]),
            (with("seats", json!(1_000_000)), vec![]),
            (with("seats", json!(0)), vec!["seats"]),
            (with("seats", json!(1_000_001)), vec!["seats"]),
            (with("seats", json!(1.5)), vec!["seats"]),
            (with("seats", json!("3")), vec!["seats"]),
            (with("status", json!("Active")), vec!["status"]),
            (with("status", json!(null)), vec!["status"]),
            (
                with("billing_period", json!("week")),
                vec!["billing_period"],
            ),
            (
                with("seat_price", json!({"amount": "0", "currency": "JPY"})),
                vec![],
            ),
            (
                with("seat_price", json!({"amount": "-1", "currency": "USD"})),
                vec!["seat_price.amount"],
            ),
            (
                with("seat_price", json!({"amount": 1, "currency": "usd"})),
                vec!["seat_price.amount", "seat_price.currency"],
            ),
            (with("seat_price", json!("12.50")), vec!["seat_price"]),
            (
                with("period_started_at", json!("2026-11-21T09:30:00Z")),
                vec![],
            ),
            (
                with("period_started_at", json!("1999-12-31T23:59:59Z")),
                vec!["period_started_at"],
            ),
            (
                with("period_ends_at", json!("9999-01-01T00:00:00Z")),
                vec!["period_ends_at"],
            ),
            (
                with("period_ends_at", json!("later")),
                vec!["period_ends_at"],
            ),
            (with("version", json!(-1)), vec!["version"]),
            (with("mrr", json!("1")), vec!["mrr"]),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<SubscriptionTerms>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
