//! Roles of an organization's own making. A role's new permissions hold for the
//! next request of everybody who has it, cached or not: so what is cached of
//! them is marked before the change and replaced after it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::OrganizationId;
use shared::organizations::{self, MAX_ROLE_CHARS, segments};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::TokenDigest;

use crate::queries::{self, Put};

/// Most members who hold a role that is changed: two scopes each are 1,000
/// writes to the store before the statement and 1,000 after it, at some 0.1 ms
/// a fifth of a second.
const MAX_ROLE_HOLDERS: i32 = 500;

/// Most roles of one organization's own.
const MAX_ROLES: i32 = 100;

/// Most permissions in a role: there are fewer than that.
const MAX_PERMISSIONS: usize = 32;

/// How often a change begins anew because somebody else was just given the role.
const ATTEMPTS: u32 = 3;

/// A role and what it allows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Role {
    name: String,
    is_built_in: bool,
    permissions: Vec<String>,
}

#[derive(Serialize)]
struct Listed {
    roles: Vec<Role>,
}

#[derive(Serialize)]
struct Deleted {
    status: &'static str,
}

pub fn permission_unknown() -> Problem {
    Problem::invalid_field(
        "permissions",
        "unknown",
        "must be permissions of GET /api/v1/permissions that are not the platform's",
    )
}

pub fn role_limit() -> Problem {
    Problem::new(
        409,
        "role_limit",
        "The organization has as many roles as it can",
        format!("An organization has at most {MAX_ROLES} roles of its own."),
    )
}

pub fn role_in_use() -> Problem {
    Problem::new(
        409,
        "role_in_use",
        "The role is in use",
        "A member or an invitation has this role. Give them another one first.",
    )
}

pub fn role_widely_held() -> Problem {
    Problem::new(
        409,
        "role_widely_held",
        "Too many members hold the role",
        format!(
            "A role that more than {MAX_ROLE_HOLDERS} members hold is not changed. Make another role, and move them."
        ),
    )
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    if segments(path).len() > 2 {
        "PUT, DELETE"
    } else {
        "GET"
    }
}

fn is_role_name(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= MAX_ROLE_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(rest)
}

fn invalid_name() -> Problem {
    Problem::invalid_parameter(
        "name",
        "invalid",
        format!(
            "must be 1 to {MAX_ROLE_CHARS} lower-case letters, digits and underscores, beginning with a letter"
        ),
    )
}

fn permissions(value: &Value) -> Result<Vec<String>, Invalid> {
    let items = value
        .as_array()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a list of permissions"))?;
    if items.len() > MAX_PERMISSIONS {
        return Err(Invalid::new(
            "wrong_length",
            format!("must have at most {MAX_PERMISSIONS} items"),
        ));
    }
    let mut permissions: Vec<String> = items
        .iter()
        .map(|item| fields::text(item, 1..=100))
        .collect::<Result<_, _>>()?;
    permissions.sort();
    permissions.dedup();
    Ok(permissions)
}

fn read(mut fields: Fields) -> Result<Vec<String>, Problem> {
    let permissions = fields.required("permissions", permissions);
    fields.finish(|| permissions)
}

pub async fn roles(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = organizations::named(request.path())?;
    let Some(name) = segments(request.path()).get(2).copied() else {
        let roles = queries::list(context, token.digest, organization_id).await?;
        return Reply::json(200, &Listed { roles });
    };
    if !is_role_name(name) {
        return Err(invalid_name());
    }
    if matches!(request.method(), Method::Delete) {
        // Nobody has the role, so nothing that is cached depends on it.
        queries::delete(context, token.digest, organization_id, name).await?;
        return Reply::json(200, &Deleted { status: "deleted" });
    }
    let (fields, _) = request.json_fields().await?;
    let permissions = read(fields)?;
    let role = put(context, token.digest, organization_id, name, &permissions).await?;
    Reply::json(200, &role)
}

async fn put(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: &str,
    permissions: &[String],
) -> Result<Role, Problem> {
    for _ in 0..ATTEMPTS {
        let holders =
            queries::holders(context, digest, organization_id, name, MAX_ROLE_HOLDERS).await?;
        let scopes: Vec<Scope> = holders
            .iter()
            .flat_map(|holder| Scope::all_of_user(*holder))
            .collect();
        let write = queries::put(
            context,
            digest,
            organization_id,
            name,
            permissions,
            &holders,
            MAX_ROLES,
        );
        match cache::during_write(context, &scopes, write).await? {
            Put::Saved(role) => return Ok(role),
            Put::HoldersChanged => {}
        }
    }
    Err(Problem::in_flight())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names() {
        let long = "a".repeat(33);
        let table = [
            ("a", true),
            ("billing_2", true),
            (&long[..32], true),
            (&long, false),
            ("", false),
            ("2nd", false),
            ("_a", false),
            ("Admin", false),
            ("a-b", false),
            ("a%20b", false),
            ("é", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_role_name(name), expected, "{name:?}");
        }
    }

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
                vec![("permissions", "wrong_type")],
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
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
