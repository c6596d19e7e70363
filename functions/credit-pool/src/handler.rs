//! The pool for showing, not for deciding: a spend reads it under lock.
//!
//! Two values are cached: that the token may read, under the sign-in of its user,
//! and the pool, under its organization. A request is served only by both.

use serde::Serialize;
use shared::billing::org_billing::{self, Reader, segments};
use shared::credits::grant_terms::GrantTerms;
use shared::credits::{Grant, Transaction, TransactionFilter};
use shared::http::context::Context;
use shared::http::fields::Fields;
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId, OrganizationId, UserId};
use shared::money::Money;
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};
use shared::token::PresentedToken;

use crate::queries::{self, Row};

/// What the pool has, and what is allocated of it.
#[derive(Debug, Serialize)]
pub struct Output {
    pub organization_id: OrganizationId,
    /// What can be spent now.
    pub available: Money,
    /// What is reserved for operations under way.
    pub held: Money,
    /// Both together.
    pub total: Money,
    /// What was granted and is not effective yet.
    pub pending: Money,
    /// What the members may still take in their periods, which can be more than
    /// there is.
    pub allocated: Money,
    /// What is available and not allocated; zero when more is allocated.
    pub unallocated: Money,
}

/// A transaction of the pool, and who asked for it.
#[derive(Debug, Serialize)]
pub struct PoolTransaction {
    #[serde(flatten)]
    transaction: Transaction,
    actor_id: Option<UserId>,
}

#[derive(Debug, Serialize)]
struct Listed {
    transactions: Vec<PoolTransaction>,
    next_cursor: Option<String>,
}

/// What was given, and to which pool.
#[derive(Debug, Serialize)]
pub struct Granted {
    pub organization_id: OrganizationId,
    pub grant: Grant,
    pub transaction: Transaction,
}

/// What the path names below the organization.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Pool,
    Grants,
    Transactions,
}

fn target(path: &str) -> Target {
    match segments(path).get(2).copied() {
        Some("grants") => Target::Grants,
        Some("transactions") => Target::Transactions,
        _ => Target::Pool,
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Grants => "POST",
        Target::Pool | Target::Transactions => "GET",
    }
}

pub async fn pool(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = org_billing::named(request.path())?;
    match target(request.path()) {
        Target::Pool => show(context, request, token, organization_id).await,
        Target::Grants => grant(context, request, token, organization_id).await,
        Target::Transactions => list(context, request, token, organization_id).await,
    }
}

async fn show(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    organization_id: OrganizationId,
) -> Result<Reply, Problem> {
    let currency = request.currency()?;
    let of = Namespace::CreditPool;
    let reader_key = CacheKey::<Reader>::for_reader(token.digest, of, organization_id);
    let reader = cache::look_up(context, reader_key, Scope::Auth(token.owner)).await;
    let key = CacheKey::<Output>::for_organization_and_currency(of, organization_id, currency);
    let cached = cache::look_up(context, key, Scope::Pool(organization_id)).await;
    if let (Lookup::Hit(_), Lookup::Hit(entry)) = (&reader, &cached) {
        return Ok(Reply::from_json_bytes(200, entry.payload.clone()));
    }
    let found = queries::find(context, token.digest, organization_id, currency).await?;
    let output = found.output(organization_id, currency)?;
    if let Lookup::Miss(fill) = reader {
        let value = Reader { organization_id };
        fill.store(context, &value, found.token_expires_millis)
            .await;
    }
    if let Lookup::Miss(fill) = cached {
        fill.store(context, &output, found.pool_expires_millis)
            .await;
    }
    Reply::json(200, &output)
}

fn read(mut fields: Fields) -> Result<GrantTerms, Problem> {
    let terms = GrantTerms::read(&mut fields);
    fields.finish(|| terms)
}

async fn grant(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    organization_id: OrganizationId,
) -> Result<Reply, Problem> {
    let (fields, body) = request.json_fields().await?;
    let terms = read(fields)?;
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

/// The page, from rows of which there is one more than asked for when more follow.
fn output(page: Page, mut rows: Vec<Row>) -> Listed {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Cursor(row.sequence).encode());
    let shown = |row: Row| PoolTransaction {
        transaction: row.transaction.into(),
        actor_id: row.actor_id,
    };
    Listed {
        transactions: rows.into_iter().map(shown).collect(),
        next_cursor: last.filter(|_| has_more),
    }
}

async fn list(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    organization_id: OrganizationId,
) -> Result<Reply, Problem> {
    let currency = request.currency()?;
    let page = request.page()?;
    let filter = TransactionFilter::from_parameters(
        request.query_parameter("kind")?.as_deref(),
        request.query_parameter("since")?.as_deref(),
        request.query_parameter("until")?.as_deref(),
    )?;
    let rows = queries::list(
        context,
        token.digest,
        organization_id,
        currency,
        &filter,
        page,
    )
    .await?;
    Reply::json(200, &output(page, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let pool = format!("{}/org_1/credit-pool", org_billing::COLLECTION);
        let table = [
            ("", Target::Pool, "GET"),
            ("/grants", Target::Grants, "POST"),
            ("/transactions", Target::Transactions, "GET"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{pool}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
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
    fn a_cursor_is_given_only_when_more_follow() {
        let row = |sequence: i64| -> Row {
            let json = json!({"sequence": sequence, "actor_id": null, "transaction": {
                "id": format!("ctx_{sequence:032x}"), "kind": "expire", "amount": "-1.000000000",
                "available_after": "1.000000000", "debited": "available", "credited": "expired",
                "currency": "USD", "description": "expired",
                "occurred_at": "2026-01-01T00:00:00.000000Z",
                "created_at": "2026-01-01T00:00:00.000000Z"}});
            serde_json::from_value(json).expect("a row as credit_pool_transactions returns it")
        };
        let page = Page {
            limit: 2,
            after: None,
        };
        for (sequences, shown, next) in [
            (vec![], 0, None),
            (vec![3, 2], 2, None),
            (vec![3, 2, 1], 2, Some(2)),
        ] {
            let got = output(page, sequences.iter().copied().map(row).collect());
            assert_eq!(got.transactions.len(), shown, "{sequences:?}");
            let next = next.map(|position| Cursor(position).encode());
            assert_eq!(got.next_cursor, next, "{sequences:?}");
        }
    }
}
