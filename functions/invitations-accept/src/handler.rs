//! An invitation makes its recipient a member, once. The session goes on in the
//! organization that it was in.

use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token;

use crate::queries;

/// Longest text that is looked at as a token. Ours have 74 characters.
const MAX_TOKEN_CHARS: usize = 512;

pub fn wrong_recipient() -> Problem {
    Problem::new(
        403,
        "wrong_recipient",
        "The invitation is for another email",
        "Sign in as the user whom the invitation was sent to.",
    )
}

pub fn role_gone() -> Problem {
    Problem::new(
        409,
        "role_gone",
        "The role of the invitation is gone",
        "Ask for a new invitation.",
    )
}

fn read(mut fields: Fields) -> Result<String, Problem> {
    let token = fields.required("token", |value| fields::text(value, 1..=MAX_TOKEN_CHARS));
    fields.finish(|| token)
}

pub async fn accept(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields().await?;
    // A text that cannot be a token of ours is looked up all the same, so that
    // whoever has no valid credential is told that first.
    let digest = token::digest(&read(fields)?);
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::accept(context, token.digest, digest);
    let organization = cache::during_write(context, &scopes, write).await?;
    Reply::json(200, &organization)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
