//! A token acts in one organization, and reads and changes that one only. The
//! list and a new organization belong to the person, and so to a session.

use serde::Serialize;
use shared::http::context::Context;
use shared::http::fields::Fields;
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::OrganizationId;
use shared::organizations::{self, Organization, segments};
use shared::store::cache;
use shared::store::cache_key::Scope;

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

/// What becomes of an organization; what is absent stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub name: Option<String>,
    pub time_zone: Option<String>,
}

fn read_change(mut fields: Fields) -> Result<Change, Problem> {
    // One of them at least: without a time zone it is the name that is missing.
    let name = if fields.has("time_zone") {
        fields.optional("name", organizations::name)
    } else {
        fields.required("name", organizations::name).map(Some)
    };
    let time_zone = fields.optional("time_zone", organizations::time_zone);
    fields.finish(|| {
        Some(Change {
            name: name?,
            time_zone: time_zone?,
        })
    })
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
    let change = read_change(fields)?;
    let changed = queries::change(context, token.digest, id, &change).await?;
    // Each member may have the old name cached, and how many there are has no
    // bound that could be marked beforehand: their scopes change after the
    // commit, and before the answer. So does that of the summaries, whose days are
    // the zone's: a mark beforehand could be set by whoever names the organization.
    let mut scopes: Vec<Scope> = changed.member_ids.into_iter().map(Scope::Auth).collect();
    scopes.extend(change.time_zone.map(|_| Scope::Usage(id)));
    cache::invalidate(context, &scopes).await;
    Reply::json(200, &changed.organization)
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
    fn changes() {
        let table = [
            (json!({"name": "Engines"}), vec![]),
            (json!({"time_zone": "Europe/Berlin"}), vec![]),
            (json!({"name": "Engines", "time_zone": "UTC"}), vec![]),
            (json!({}), vec![("name", "required")]),
            (json!({"time_zone": null}), vec![("name", "required")]),
            (
                json!({"name": " ", "time_zone": ""}),
                vec![("name", "wrong_length"), ("time_zone", "wrong_length")],
            ),
            (
                json!({"time_zone": "x".repeat(65)}),
                vec![("time_zone", "wrong_length")],
            ),
            (
                json!({"time_zone": 1, "role": "owner"}),
                vec![("time_zone", "wrong_type"), ("role", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read_change)
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
