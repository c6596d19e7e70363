use shared::auth::session::{Carrier, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::SessionId;
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::OrganizationChange;
use crate::queries;

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (body, _) = request.json::<OrganizationChange>().await?;
    let scopes = Scope::all_of_user(token.owner);
    let organization = body.organization_id;
    let (access, refresh) = (context.random()?, context.random()?);
    let pair = TokenPair::mint(organization, token.owner, &access, &refresh);
    let session_id = SessionId::owned(organization, context.now_millis(), &context.random()?);
    let write = queries::change(context, token.digest, session_id, &pair);
    let session = cache::during_write(context, &scopes, write).await?;
    // As the old token came, so do the new ones.
    let carrier = if request.header_is_present("authorization") {
        Carrier::Bearer
    } else {
        Carrier::Cookie
    };
    pair.reply(session, carrier)
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
