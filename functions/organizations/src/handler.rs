//! A token acts in one organization, and reads and renames that one only. The
//! list and a new organization belong to the person, and so to a session.

use serde::Serialize;
use shared::cache;
use shared::cache_key::Scope;
use shared::context::Context;
use shared::fields::Fields;
use shared::http::{Method, Reply, Request};
use shared::ids::OrganizationId;
use shared::organizations::{self, Organization, segments};
use shared::problem::Problem;

use crate::queries;

/// Most organizations that are listed. Who belongs to more sees the newest.
const MAX_LISTED: i32 = 100;

/// Most organizations that a user owns: as many as are listed.
const MAX_OWNED: i32 = 100;

#[derive(Serialize)]
struct Listed {
    organizations: Vec<Organization>,
}

pub fn organization_limit() -> Problem {
    Problem::new(
        409,
        "organization_limit",
        "You own as many organizations as one can",
        format!("A user owns at most {MAX_OWNED} organizations."),
    )
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    if segments(path).is_empty() {
        "GET, POST"
    } else {
        "GET, PATCH"
    }
}

fn read(mut fields: Fields) -> Result<String, Problem> {
    let name = fields.required("name", organizations::name);
    fields.finish(|| name)
}

pub async fn organizations(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let is_get = matches!(request.method(), Method::Get);
    if segments(request.path()).is_empty() {
        if is_get {
            let organizations = queries::list(context, token.digest, MAX_LISTED).await?;
            return Reply::json(200, &Listed { organizations });
        }
        let (fields, _) = request.json_fields().await?;
        let name = read(fields)?;
        let id = OrganizationId::new(context.now_millis(), &context.random()?);
        let made = queries::create(context, token.digest, id, &name, MAX_OWNED).await?;
        return Reply::json(201, &made);
    }
    let id = organizations::named(request.path())?;
    if is_get {
        return Reply::json(200, &queries::read(context, token.digest, id).await?);
    }
    let (fields, _) = request.json_fields().await?;
    let name = read(fields)?;
    let renamed = queries::rename(context, token.digest, id, &name).await?;
    // Each member may have the old name cached, and how many there are has no
    // bound that could be marked beforehand: their scopes change after the
    // commit, and before the answer.
    let scopes: Vec<Scope> = renamed.member_ids.into_iter().map(Scope::Auth).collect();
    cache::invalidate(context, &scopes).await;
    Reply::json(200, &renamed.organization)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"name": "Engines"}), vec![]),
            (json!({}), vec![("name", "required")]),
            (json!({"name": " "}), vec![("name", "wrong_length")]),
            (json!({"name": null}), vec![("name", "wrong_type")]),
            (
                json!({"name": "x", "owner": "y"}),
                vec![("owner", "unknown")],
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
            ("/api/v1/organizations", "GET, POST"),
            ("/api/v1/organizations/org_1", "GET, PATCH"),
            ("/api/v1/organizations/", "GET, PATCH"),
        ];
        for (path, expected) in table {
            assert_eq!(allow(path), expected, "{path}");
        }
    }
}
