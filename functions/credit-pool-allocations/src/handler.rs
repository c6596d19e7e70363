//! An allocation is a limit on what a member may take of the pool in a period. It
//! reserves nothing: together, limits can exceed the pool.

use serde::Serialize;
use serde_json::Value;
use shared::billing::org_billing::{self, Allocation, AllocationRow, segments};
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{OrganizationId, UserId};
use shared::money::Money;
use shared::organizations;
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::PresentedToken;

use crate::queries;

/// Most allocations of an organization in one currency. The pool's answer sums
/// them: 10,000 rows at some 1.5 microseconds are 15 of the 1,500 milliseconds that
/// a statement has.
pub const MAX_ALLOCATIONS: i32 = 10_000;

/// When what was used starts from nothing again.
const RESETS: [&str; 4] = ["never", "day", "week", "month"];

/// An allocation, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub limit: Money,
    pub reset: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    allocations: Vec<Allocation>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Removed {
    status: &'static str,
}

pub fn allocation_limit() -> Problem {
    Problem::new(
        409,
        "allocation_limit",
        "The organization has as many allocations as it can",
        format!("An organization has at most {MAX_ALLOCATIONS} allocations in one currency."),
    )
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    if segments(path).len() > 3 {
        "PUT, DELETE"
    } else {
        "GET"
    }
}

fn reset(value: &Value) -> Result<String, Invalid> {
    let text = value
        .as_str()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a string"))?;
    if !RESETS.contains(&text) {
        return Err(Invalid::new(
            "invalid",
            format!("must be one of {}", RESETS.join(", ")),
        ));
    }
    Ok(text.to_owned())
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let limit = fields::unsigned_money(&mut fields, "limit");
    let reset = fields.required("reset", reset);
    fields.finish(|| {
        Some(Input {
            limit: limit?,
            reset: reset?,
        })
    })
}

pub async fn allocations(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = org_billing::named(request.path())?;
    let Some(member) = segments(request.path()).get(3).copied() else {
        return list(context, request, token, organization_id).await;
    };
    let user_id: UserId = member.parse().map_err(|_| organizations::not_found())?;
    let scopes = [Scope::Pool(organization_id)];
    if matches!(request.method(), Method::Delete) {
        let currency = request.currency()?;
        let write = queries::remove(context, token.digest, organization_id, user_id, currency);
        cache::during_write(context, &scopes, write).await?;
        return Reply::json(200, &Removed { status: "removed" });
    }
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let write = queries::put(context, token.digest, organization_id, user_id, &input);
    let allocation = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &allocation)
}

/// The page, from rows of which there is one more than asked for when more follow.
fn output(page: Page, mut rows: Vec<AllocationRow>) -> Listed {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Cursor(row.sequence).encode());
    Listed {
        allocations: rows.into_iter().map(Allocation::from).collect(),
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
    let rows = queries::list(context, token.digest, organization_id, currency, page).await?;
    Reply::json(200, &output(page, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let dollars = json!({"amount": "10", "currency": "USD"});
        let table = [
            (json!({"limit": dollars, "reset": "month"}), vec![]),
            (
                json!({"limit": {"amount": "0", "currency": "JPY"}, "reset": "never"}),
                vec![],
            ),
            (json!({}), vec!["limit", "reset"]),
            (json!({"limit": "10", "reset": "day"}), vec!["limit"]),
            (
                json!({"limit": {"amount": "-1", "currency": "usd"}, "reset": "week"}),
                vec!["limit.amount", "limit.currency"],
            ),
            (json!({"limit": dollars, "reset": "year"}), vec!["reset"]),
            (json!({"limit": dollars, "reset": null}), vec!["reset"]),
            (
                json!({"limit": dollars, "reset": "day", "used": "0"}),
                vec!["used"],
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
    fn methods() {
        let list = format!("{}/org_1/credit-pool/allocations", org_billing::COLLECTION);
        assert_eq!(allow(&list), "GET");
        assert_eq!(allow(&format!("{list}/usr_1")), "PUT, DELETE");
    }
}
