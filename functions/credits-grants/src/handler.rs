//! A grant is spent in the order of its priority, its expiry and its age, from
//! when it is effective until it expires or is voided.
//!
//! Voiding takes two statements. The first says whose grant it is, a person's or a
//! pool's, because their cached balances must be marked before the second changes
//! them: if the process died between its commit and its acknowledgement, the mark
//! is what keeps the old balance from being served. An account never changes its
//! owner, so what the first one said still holds.

use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{GrantPage, GrantsQuery, NewGrant};
use crate::queries::{self, Row};

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: GrantsQuery = request.query()?;
    let scope = request.list_scope::<GrantsQuery>(&token);
    let page = Page::new(scope, query.limit, query.cursor.as_ref())?;
    let rows = queries::list(context, token.digest, query.currency, &page).await?;
    let (rows, next_cursor) = page.cut(rows, Row::place)?;
    let grants = rows.into_iter().map(|row| row.grant).collect();
    Reply::json(
        200,
        &GrantPage {
            grants,
            next_cursor,
        },
    )
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (grant, body) = request.json::<NewGrant>().await?;
    let idempotency = request.idempotency(&body)?;
    let ids = queries::NewIds {
        transaction: CreditTransactionId::new(context.now_millis(), &context.random()?),
        account: CreditAccountId::new(context.now_millis(), &context.random()?),
        grant: CreditGrantId::new(context.now_millis(), &context.random()?),
    };
    let scopes = [Scope::Credits(grant.user_id)];
    let write = queries::create(context, token.digest, &idempotency, ids, grant);
    let granted = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &granted)
}

pub async fn void(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id: CreditGrantId = request.named("id", queries::grant_not_found)?;
    let idempotency = request.idempotency(&[])?;
    let transaction_id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let owner = queries::owner(context, token.digest, id).await?;
    let scopes = [owner.scope()];
    let write = queries::void(context, token.digest, &idempotency, transaction_id, id);
    let voided = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &voided)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;
    use shared::ids::UserId;

    use super::*;

    #[test]
    fn bodies() {
        let user = UserId::new(1, &[1; 10]).to_string();
        let with = |field: &str, value: serde_json::Value| {
            let mut body = json!({"user_id": user, "amount": "1", "currency": "USD"});
            body[field] = value;
            body
        };
        let table = [
            (with("amount", json!("1.25")), vec![]),
            (json!({}), vec!["user_id", "amount", "currency"]),
            (with("user_id", json!("usr_1")), vec!["user_id"]),
            (
                with("user_id", json!(user.replace("usr", "org"))),
                vec!["user_id"],
            ),
            (with("kind", json!("free")), vec!["kind"]),
            (
                with("organization_id", json!("org_1")),
                vec!["organization_id"],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<NewGrant>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn the_terms_are_those_of_the_body() {
        let body = json!({
            "user_id": UserId::new(1, &[1; 10]), "amount": "1.25", "currency": "JPY",
            "description": "Welcome", "kind": "promotional", "priority": 7,
            "effective_at": "2026-11-21T09:30:00Z", "expires_at": "2027-11-21T09:30:00Z"});
        let grant: NewGrant = input::value(&body).expect("the body is right");
        let terms = grant.terms();
        let money = terms.money();
        assert_eq!(
            (&*money.format_amount(), money.currency().code()),
            ("1.25", "JPY")
        );
        assert_eq!(terms.description(), "Welcome");
        assert_eq!((&*terms.kind(), terms.priority()), ("promotional", 7));
        let times = [terms.effective_at(), terms.expires_at()];
        let times = times.map(|time| time.map(|time| time.to_string()).unwrap_or_default());
        assert_eq!(times, ["2026-11-21 09:30:00", "2027-11-21 09:30:00"]);
    }
}
