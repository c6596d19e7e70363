//! Members and their roles. Nobody gives, changes or takes a role that holds
//! more than they do themselves, and an organization keeps an owner.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, UserId};
use shared::organizations;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{MemberChange, MemberPage, MemberQuery};
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let query = request.query::<MemberQuery>()?;
    let page = request.page::<MemberQuery>(&token, query.limit, query.cursor.as_ref())?;
    let members = queries::list(context, token.digest, organization_id, &page).await?;
    let (members, next_cursor) = page.cut(members, |member| member.sequence)?;
    Reply::json(
        200,
        &MemberPage {
            members,
            next_cursor,
        },
    )
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let user_id: UserId = request.named("user_id", organizations::not_found)?;
    let (change, _) = request.json::<MemberChange>().await?;
    let scopes = Scope::all_of_user(user_id);
    let write = queries::change(context, token.digest, organization_id, user_id, change.role);
    let member = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &member)
}

pub async fn remove(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let user_id: UserId = request.named("user_id", organizations::not_found)?;
    // What the member was allocated of the pool goes with them.
    let [auth, credits] = Scope::all_of_user(user_id);
    let scopes = [auth, credits, Scope::Pool(organization_id)];
    let write = queries::remove(context, token.digest, organization_id, user_id);
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
        let table = [
            (json!({"role": "admin"}), vec![]),
            (json!({}), vec![("role", "required")]),
            (json!({"role": ""}), vec![("role", "invalid")]),
            (json!({"role": ["owner"]}), vec![("role", "wrong_type")]),
            (
                json!({"role": "r", "permissions": []}),
                vec![("permissions", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<MemberChange>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
