//! The pool for showing, not for deciding: a spend reads it under lock.
//!
//! Two values are cached: that the token may read, under the sign-in of its user,
//! and the pool, under its organization. A request is served only by both.

use shared::billing::org_billing::Reader;
use shared::credits::grant_terms::GrantTerms;
use shared::credits::place::CreditPlace;
use shared::credits::{CreditPool, TransactionsQuery};
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId, OrganizationId};
use shared::organizations;
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::operations::{PoolQuery, PoolTransaction, PoolTransactionPage};
use crate::queries::{self, Row};

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let query: PoolQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let of = Namespace::CreditPool;
    let reader_key = CacheKey::<Reader>::for_reader(token.digest, of, organization_id);
    let reader = cache::look_up(context, reader_key, Scope::Auth(token.owner)).await;
    let key = CacheKey::<CreditPool>::for_organization_and_currency(of, organization_id, currency);
    let cached = cache::look_up(context, key, Scope::Pool(organization_id)).await;
    if let (Lookup::Hit(_), Lookup::Hit(entry)) = (&reader, &cached) {
        return Ok(Reply::from_json_bytes(200, entry.payload.clone()));
    }
    let found = queries::find(context, token.digest, organization_id, currency).await?;
    if let Lookup::Miss(fill) = reader {
        let value = Reader { organization_id };
        fill.store(context, &value, found.token_expires_millis)
            .await;
    }
    if let Lookup::Miss(fill) = cached {
        fill.store(context, &found.pool, found.pool_expires_millis)
            .await;
    }
    Reply::json(200, &found.pool)
}

pub async fn grant(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let (terms, body) = request.json::<GrantTerms>().await?;
    let idempotency = request.idempotency(&body)?;
    let ids = queries::NewIds {
        transaction: CreditTransactionId::new(context.now_millis(), &context.random()?),
        account: CreditAccountId::new(context.now_millis(), &context.random()?),
        grant: CreditGrantId::new(context.now_millis(), &context.random()?),
    };
    let scopes = [Scope::Pool(organization_id)];
    let write = queries::grant(
        context,
        token.digest,
        &idempotency,
        ids,
        organization_id,
        &terms,
    );
    let granted = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &granted)
}

fn shown(page: &Page<CreditPlace>, rows: Listed<Vec<Row>>) -> Result<PoolTransactionPage, Problem> {
    let (rows, next_cursor) = page.cut(rows, Row::place)?;
    let transactions = rows.into_iter().map(|row| PoolTransaction {
        transaction: row.transaction,
        actor_id: row.actor_id,
    });
    Ok(PoolTransactionPage {
        transactions: transactions.collect(),
        next_cursor,
    })
}

pub async fn transactions(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let query: TransactionsQuery = request.query()?;
    let filter = query.filter();
    let scope = request.list_scope::<TransactionsQuery>(&token);
    let page = Page::new(scope, query.limit, query.cursor.as_ref())?;
    let rows = queries::list(
        context,
        token.digest,
        organization_id,
        query.currency,
        &filter,
        &page,
    )
    .await?;
    Reply::json(200, &shown(&page, rows)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input::{self, Whole};
    use shared::http::pagination::{Cursor, CursorKey, ListScope};
    use shared::ids::UserId;

    use super::*;

    fn first_page(limit: i64) -> Page<CreditPlace> {
        Page::new(ListScope::default(), Some(Whole(limit)), None).expect("there is no cursor")
    }

    fn listed(rows: Vec<Row>) -> Listed<Vec<Row>> {
        Listed::new(rows, CursorKey::new([0; 32]))
    }

    #[test]
    fn a_grant_names_no_user() {
        let user = UserId::new(1, &[1; 10]);
        let table = [
            (json!({"amount": "1", "currency": "USD"}), vec![]),
            (
                json!({"amount": "1", "currency": "USD", "user_id": user}),
                vec!["user_id"],
            ),
            (json!({"kind": "free"}), vec!["amount", "currency", "kind"]),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<GrantTerms>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn a_cursor_is_given_only_when_more_follow() {
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let row = |number: i64| -> Row {
            let json = json!({"at_micros": number, "actor_id": null, "transaction": {
                "id": format!("ctx_{number:032x}"), "kind": "expire",
                "amount": money("-1.000000000"), "available_after": money("1.000000000"),
                "debited": "available", "credited": "expired", "description": "expired",
                "service": null, "model": null,
                "occurred_at": "2026-01-01T00:00:00.000000Z",
                "created_at": "2026-01-01T00:00:00.000000Z"}});
            serde_json::from_value(json).expect("a row as credit_pool_transactions returns it")
        };
        let page = first_page(2);
        for (sequences, count, next) in [
            (vec![], 0, None),
            (vec![3, 2], 2, None),
            (vec![3, 2, 1], 2, Some(row(2).place())),
        ] {
            let rows = listed(sequences.iter().copied().map(row).collect());
            let got = shown(&page, rows).expect("there is no cursor to refuse");
            assert_eq!(got.transactions.len(), count, "{sequences:?}");
            let place = got.next_cursor.as_ref().map(Cursor::place);
            assert_eq!(place, next.map(Some), "{sequences:?}");
        }
    }

    #[test]
    fn a_transaction_of_a_pool_has_who_asked_beside_its_own_members() {
        let user = UserId::new(1, &[1; 10]);
        let money = json!({"amount": "1.00", "currency": "USD"});
        let transaction = json!({
            "id": format!("ctx_{:032x}", 1), "kind": "refund", "amount": money,
            "available_after": money, "debited": "consumed", "credited": "available",
            "description": "refund", "service": "chat", "model": null,
            "occurred_at": "2026-01-01T00:00:00.000000Z",
            "created_at": "2026-01-01T00:00:00.000000Z"});
        let row = json!({"at_micros": 1, "actor_id": user, "transaction": transaction});
        let row = serde_json::from_value(row).expect("a row as the database returns it");
        let mut expected = transaction;
        expected["actor_id"] = json!(user);
        let got = shown(&first_page(1), listed(vec![row])).expect("there is no cursor to refuse");
        assert_eq!(
            serde_json::to_value(got).ok(),
            Some(json!({"transactions": [expected], "next_cursor": null}))
        );
    }
}
