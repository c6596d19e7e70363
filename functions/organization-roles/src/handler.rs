//! Roles of an organization's own making. A role's new permissions hold for the
//! next request of everybody who has it, cached or not: so what is cached of
//! them is marked before the change and replaced after it.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OrganizationId;
use shared::organizations::{self, Permission, RoleName};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{MAX_ATTEMPTS, NewRole};
use crate::queries;

/// Most members who hold a role that is changed: two scopes each are 1,000
/// writes to the store before the statement and 1,000 after it, at some 0.1 ms
/// a fifth of a second.
const MAX_ROLE_HOLDERS: i32 = 500;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let roles = queries::list(context, token.digest, organization_id).await?;
    Reply::json(200, &roles)
}

pub async fn delete(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = request.named("id", organizations::not_found)?;
    let name: RoleName = request.path_parameter("name")?;
    // Nobody has the role, so nothing that is cached depends on it.
    let deleted = queries::delete(context, token.digest, organization_id, name).await?;
    Reply::json(200, &deleted)
}

pub async fn put(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id: OrganizationId = request.named("id", organizations::not_found)?;
    let name: RoleName = request.path_parameter("name")?;
    let (role, _) = request.json::<NewRole>().await?;
    let permissions = sorted(role.permissions.0);
    for _ in 0..MAX_ATTEMPTS {
        let holders = queries::holders(
            context,
            token.digest,
            organization_id,
            &name,
            MAX_ROLE_HOLDERS,
        )
        .await?;
        let scopes: Vec<Scope> = holders
            .iter()
            .flat_map(|holder| Scope::all_of_user(*holder))
            .collect();
        let write = queries::put(
            context,
            token.digest,
            organization_id,
            &name,
            &permissions,
            &holders,
        );
        if let Some(role) = cache::during_write(context, &scopes, write).await? {
            return Reply::json(200, &role);
        }
    }
    Err(Problem::in_flight())
}

/// Each permission once, in order.
fn sorted(mut permissions: Vec<Permission>) -> Vec<Permission> {
    permissions.sort();
    permissions.dedup();
    permissions
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies() {
        let table = [
            (json!({"permissions": []}), vec![]),
            (json!({"permissions": ["credits:read"]}), vec![]),
            (json!({}), vec![("permissions", "required")]),
            (
                json!({"permissions": "credits:read"}),
                vec![("permissions", "wrong_type")],
            ),
            (
                json!({"permissions": [1]}),
                vec![("permissions[0]", "wrong_type")],
            ),
            (
                json!({"permissions": vec!["x"; 33]}),
                vec![("permissions", "wrong_length")],
            ),
            (
                json!({"permissions": [], "name": "x"}),
                vec![("name", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<NewRole>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn permissions_are_kept_once_and_in_order() {
        let body = json!({"permissions": ["b:b", "a:a", "b:b"]});
        let role: NewRole = input::value(&body).expect("the body is right");
        let kept = sorted(role.permissions.0);
        let kept: Vec<&str> = kept.iter().map(|permission| &**permission).collect();
        assert_eq!(kept, ["a:a", "b:b"]);
    }
}
