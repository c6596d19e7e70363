use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::OrganizationChange;
use crate::queries;

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (body, _) = request.json::<OrganizationChange>().await?;
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::change(context, token.digest, body.organization_id);
    let changed = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &changed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;
    use shared::ids::OrganizationId;

    use super::*;

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
            let errors = input::value_at::<OrganizationChange>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
