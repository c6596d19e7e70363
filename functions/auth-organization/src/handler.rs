use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::queries;

/// What the session is now, in the words of a login.
#[derive(Debug, Serialize, Deserialize)]
pub struct Changed {
    session_id: SessionId,
    user_id: UserId,
    organization_id: OrganizationId,
}

pub fn not_found() -> Problem {
    Problem::not_found("You belong to no organization with this id.")
}

fn read(mut fields: Fields) -> Result<OrganizationId, Problem> {
    let id = fields.required("organization_id", fields::parsed::<OrganizationId>);
    fields.finish(|| id)
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields().await?;
    let organization_id = read(fields)?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::change(context, token.digest, organization_id);
    let changed = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let id = OrganizationId::new(1, &[1; 10]);
        let table = [
            (json!({"organization_id": id}), vec![]),
            (json!({}), vec![("organization_id", "required")]),
            (
                json!({"organization_id": "org_1"}),
                vec![("organization_id", "invalid")],
            ),
            (
                json!({"organization_id": 1}),
                vec![("organization_id", "wrong_type")],
            ),
            (
                json!({"organization_id": id, "role": "owner"}),
                vec![("role", "unknown")],
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
