//! An invitation makes its recipient a member, once. The session goes on in the
//! organization that it was in.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token;

use crate::operations::Acceptance;
use crate::queries;

pub async fn accept(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (acceptance, _) = request.json::<Acceptance>().await?;
    // A text that cannot be a token of ours is looked up all the same, so that
    // whoever has no valid credential is told that first.
    let digest = token::digest(&acceptance.token);
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::accept(context, token.digest, digest);
    let organization = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &organization)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

    #[test]
    fn bodies() {
        let table = [
            (json!({"token": "tpe_x"}), vec![]),
            (json!({}), vec![("token", "required")]),
            (json!({"token": ""}), vec![("token", "wrong_length")]),
            (
                json!({"token": "x".repeat(513)}),
                vec![("token", "wrong_length")],
            ),
            (json!({"token": 1}), vec![("token", "wrong_type")]),
            (
                json!({"token": "x", "role": "owner"}),
                vec![("role", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = input::value_at::<Acceptance>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
