//! Members and their roles. Nobody gives, changes or takes a role that holds
//! more than they do themselves, and an organization keeps an owner.

use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::fields::Fields;
use shared::http::pagination::Cursor;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{self, segments};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::PresentedToken;

use crate::queries;

/// A member as the database answers it; `sequence` is their place in the list.
#[derive(Debug, Deserialize, Serialize)]
pub struct Member {
    user_id: UserId,
    email: String,
    role: String,
    is_disabled: bool,
    joined_at: String,
    #[serde(skip_serializing)]
    sequence: i64,
}

#[derive(Serialize)]
struct Listed {
    members: Vec<Member>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Removed {
    status: &'static str,
}

pub fn last_owner() -> Problem {
    Problem::new(
        409,
        "last_owner",
        "An organization keeps an owner",
        "This is the last owner who can sign in. Make another member an owner first.",
    )
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    if segments(path).len() > 2 {
        "PATCH, DELETE"
    } else {
        "GET"
    }
}

fn read(mut fields: Fields) -> Result<String, Problem> {
    let role = fields.required("role", organizations::role);
    fields.finish(|| role)
}

pub async fn members(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = organizations::named(request.path())?;
    let Some(member) = segments(request.path()).get(2).copied() else {
        return list(context, request, token, organization_id).await;
    };
    let user_id: UserId = member.parse().map_err(|_| organizations::not_found())?;
    let [auth, credits] = Scope::all_of_user(user_id);
    if matches!(request.method(), Method::Delete) {
        // What the member was allocated of the pool goes with them.
        let scopes = [auth, credits, Scope::Pool(organization_id)];
        let write = queries::remove(context, token.digest, organization_id, user_id);
        cache::during_write(context, &scopes, write).await?;
        return Reply::json(200, &Removed { status: "removed" });
    }
    let (fields, _) = request.json_fields().await?;
    let role = read(fields)?;
    let write = queries::change(context, token.digest, organization_id, user_id, &role);
    let member = cache::during_write(context, &[auth, credits], write).await?;
    Reply::json(200, &member)
}

async fn list(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    organization_id: OrganizationId,
) -> Result<Reply, Problem> {
    let page = request.page()?;
    let mut members = queries::list(context, token.digest, organization_id, page).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = members.len() > limit;
    members.truncate(limit);
    let last = members.last().map(|member| Cursor(member.sequence));
    Reply::json(
        200,
        &Listed {
            members,
            next_cursor: last.filter(|_| has_more).map(Cursor::encode),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"role": "admin"}), vec![]),
            (json!({}), vec![("role", "required")]),
            (json!({"role": ""}), vec![("role", "wrong_length")]),
            (json!({"role": ["owner"]}), vec![("role", "wrong_type")]),
            (
                json!({"role": "r", "permissions": []}),
                vec![("permissions", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn methods() {
        let table = [
            ("/api/v1/organizations/org_1/members", "GET"),
            ("/api/v1/organizations/org_1/members/usr_1", "PATCH, DELETE"),
        ];
        for (path, expected) in table {
            assert_eq!(allow(path), expected, "{path}");
        }
    }
}
