//! A disabled user is out with the next request, whatever was cached of them.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{OwnershipGift, UserChange};
use crate::queries::{self, not_found};

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", not_found)?;
    Reply::json(200, &queries::read(context, token.digest, id).await?)
}

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", not_found)?;
    let (change, _) = request.json::<UserChange>().await?;
    let write = queries::change(context, token.digest, id, change.disabled);
    let user = cache::during_write(context, &Scope::all_of_user(id), write).await?;
    Reply::json(200, &user)
}

pub async fn own(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", not_found)?;
    let (gift, _) = request.json::<OwnershipGift>().await?;
    let write = queries::own(context, token.digest, id, gift.organization_id);
    let ownership = cache::during_write(context, &Scope::all_of_user(id), write).await?;
    Reply::json(200, &ownership)
}

pub async fn remove_factor(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", not_found)?;
    Reply::json(
        200,
        &queries::remove_factor(context, token.digest, id).await?,
    )
}

pub async fn keep_factor(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let id = request.named("id", not_found)?;
    Reply::json(200, &queries::keep_factor(context, token.digest, id).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies_of_ownerships() {
        let table = [
            (
                json!({"organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4"}),
                vec![],
            ),
            (json!({}), vec!["organization_id"]),
            (json!({"organization_id": "org_1"}), vec!["organization_id"]),
            (json!({"organization_id": null}), vec!["organization_id"]),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<OwnershipGift>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn bodies() {
        let table = [
            (json!({"disabled": true}), vec![]),
            (json!({}), vec![("disabled", "required")]),
            (
                json!({"disabled": "true"}),
                vec![("disabled", "wrong_type")],
            ),
            (json!({"disabled": null}), vec![("disabled", "wrong_type")]),
            (
                json!({"disabled": true, "email": "x"}),
                vec![("email", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<UserChange>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
