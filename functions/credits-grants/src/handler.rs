//! A grant is spent in the order of its priority, its expiry and its age, from
//! when it is effective until it expires or is voided.
//!
//! Voiding takes two statements. The first says whose grant it is, a user's or a
//! pool's, because their cached balances must be marked before the second changes
//! them: if the process died between its commit and its acknowledgement, the mark
//! is what keeps the old balance from being served. An account never changes its
//! owner, so what the first one said still holds.

use serde::Serialize;
use shared::credits::grant_terms::GrantTerms;
use shared::credits::owner::CreditOwner;
use shared::credits::{Grant, Transaction};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{CreditAccountId, CreditGrantId, CreditTransactionId, UserId};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::PresentedToken;

use crate::queries::{self, Changed, Row};

const COLLECTION: &str = "/api/v1/credits/grants";

/// A grant, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub user_id: UserId,
    pub terms: GrantTerms,
}

#[derive(Serialize)]
struct Output {
    #[serde(flatten)]
    owner: CreditOwner,
    grant: Grant,
    transaction: Transaction,
}

impl From<Changed> for Output {
    fn from(changed: Changed) -> Self {
        Self {
            owner: changed.owner,
            grant: changed.grant.into(),
            transaction: changed.transaction.into(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Listed {
    grants: Vec<Grant>,
    next_cursor: Option<String>,
}

/// Why nothing was granted or taken back.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    UserNotFound,
    GrantNotFound,
    NothingLeft,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UserNotFound => Self::not_found("There is no user with this user_id."),
            Refusal::GrantNotFound => Self::not_found("There is no grant with this id."),
            Refusal::NothingLeft => Self::new(
                409,
                "nothing_left",
                "Nothing is left of the grant",
                "It was spent, is held, has expired or was voided; nothing was changed.",
            ),
        }
    }
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let user_id = fields.required("user_id", fields::parsed);
    let terms = GrantTerms::read(&mut fields);
    fields.finish(|| {
        Some(Input {
            user_id: user_id?,
            terms: terms?,
        })
    })
}

/// What the path names. An id is read only after the caller's token.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Collection,
    Void(&'a str),
}

fn target(path: &str) -> Target<'_> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    match rest.strip_prefix('/') {
        None => Target::Collection,
        Some(rest) => Target::Void(rest.strip_suffix("/void").unwrap_or(rest)),
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Collection => "GET, POST",
        Target::Void(_) => "POST",
    }
}

pub async fn grants(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    match target(request.path()) {
        Target::Collection if matches!(request.method(), Method::Get) => {
            list(context, request, token).await
        }
        Target::Collection => grant(context, request, token).await,
        Target::Void(text) => {
            let id = text.parse().map_err(|_| Refusal::GrantNotFound)?;
            void(context, request, token, id).await
        }
    }
}

/// The page, from rows of which there is one more than asked for when more follow.
fn output(page: Page, mut rows: Vec<Row>) -> Listed {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Cursor(row.sequence).encode());
    Listed {
        grants: rows.into_iter().map(|row| row.grant.into()).collect(),
        next_cursor: last.filter(|_| has_more),
    }
}

async fn list(
    context: &Context,
    request: &Request,
    token: PresentedToken,
) -> Result<Reply, Problem> {
    let currency = request.currency()?;
    let page = request.page()?;
    let rows = queries::list(context, token.digest, currency, page).await?;
    Reply::json(200, &output(page, rows))
}

async fn grant(
    context: &Context,
    request: &Request,
    token: PresentedToken,
) -> Result<Reply, Problem> {
    let (fields, body) = request.json_fields().await?;
    let input = read(fields)?;
    let idempotency = request.idempotency(&body)?;
    let ids = queries::NewIds {
        transaction: CreditTransactionId::new(context.now_millis(), &context.random()?),
        account: CreditAccountId::new(context.now_millis(), &context.random()?),
        grant: CreditGrantId::new(context.now_millis(), &context.random()?),
    };
    let scopes = [Scope::Credits(input.user_id)];
    let write = queries::grant(context, token.digest, &idempotency, ids, &input);
    let changed = cache::during_write(context, &scopes, write).await?;
    Reply::json(201, &Output::from(changed))
}

async fn void(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    id: CreditGrantId,
) -> Result<Reply, Problem> {
    let idempotency = request.idempotency(&[])?;
    let transaction_id = CreditTransactionId::new(context.now_millis(), &context.random()?);
    let owner = queries::owner(context, token.digest, id).await?;
    let scopes = owner.scopes();
    let write = queries::void(context, token.digest, &idempotency, transaction_id, id);
    let changed = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &Output::from(changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
    fn paths() {
        let table = [
            ("", Target::Collection, "GET, POST"),
            ("/cgr_1/void", Target::Void("cgr_1"), "POST"),
            ("/", Target::Void(""), "POST"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{COLLECTION}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }
}
