//! An allocation is a limit on what a member may take of the pool in a period. It
//! reserves nothing: together, limits can exceed the pool.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, UserId};
use shared::organizations;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{AllocationPage, AllocationQuery, AllocationsQuery, NewAllocation};
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let query: AllocationsQuery = request.query()?;
    let page = request.page::<AllocationsQuery>(&token, query.limit, query.cursor.as_ref())?;
    let rows = queries::list(
        context,
        token.digest,
        organization_id,
        query.currency,
        &page,
    )
    .await?;
    let (rows, next_cursor) = page.cut(rows, |row| row.sequence)?;
    let allocations = rows.into_iter().map(|row| row.allocation).collect();
    Reply::json(
        200,
        &AllocationPage {
            allocations,
            next_cursor,
        },
    )
}

pub async fn put(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let user_id: UserId = request.named("user_id", organizations::not_found)?;
    let (allocation, _) = request.json::<NewAllocation>().await?;
    let scopes = [Scope::Pool(organization_id)];
    let write = queries::put(context, token.digest, organization_id, user_id, &allocation);
    let allocation = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &allocation)
}

pub async fn remove(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let user_id: UserId = request.named("user_id", organizations::not_found)?;
    let query: AllocationQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let scopes = [Scope::Pool(organization_id)];
    let write = queries::remove(context, token.digest, organization_id, user_id, currency);
    let removed = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &removed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<NewAllocation>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
