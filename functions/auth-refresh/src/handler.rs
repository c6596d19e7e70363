//! Rotation with reuse detection: a refresh token works once. Whoever sends a
//! spent one, thief or victim, ends the session for both; which of them it is
//! nobody can tell.

use shared::auth::session::{Carrier, TokenPair};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{REFRESH_COOKIE, Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::{self, PresentedToken, TokenKind};

use crate::queries;

/// Longest text that is looked at as a token. Ours have 74 characters.
const MAX_TOKEN_CHARS: usize = 512;

pub fn refused() -> Problem {
    Problem::new(
        401,
        "invalid_refresh_token",
        "The refresh token is not valid",
        "It is unknown, expired, spent or revoked. Sign in again.",
    )
}

fn read(mut fields: Fields) -> Result<String, Problem> {
    let token = fields.required("refresh_token", |value| {
        fields::text(value, 1..=MAX_TOKEN_CHARS)
    });
    fields.finish(|| token)
}

/// The token from the body, or, for a request without one, from the cookie.
async fn presented(request: &Request) -> Result<(PresentedToken, Carrier), Problem> {
    if request.header("content-type")?.is_none() {
        let token = request.cookie_token(REFRESH_COOKIE, TokenKind::Refresh)?;
        return Ok((token, Carrier::Cookie));
    }
    let (fields, _) = request.json_fields().await?;
    let token = token::parse(TokenKind::Refresh, &read(fields)?).ok_or_else(refused)?;
    Ok((token, Carrier::Bearer))
}

pub async fn refresh(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (token, carrier) = presented(request).await?;
    let pair = TokenPair::mint(token.owner, &context.random()?, &context.random()?);
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::refresh(context, token.digest, &pair);
    // Reuse comes back as no session and not as a problem, so that what is cached
    // of the session it ended is invalidated.
    let session = cache::during_write(context, &scopes, write)
        .await?
        .ok_or_else(refused)?;
    pair.reply(&session, carrier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"refresh_token": "tpr_x"}), vec![]),
            (json!({}), vec![("refresh_token", "required")]),
            (
                json!({"refresh_token": ""}),
                vec![("refresh_token", "wrong_length")],
            ),
            (
                json!({"refresh_token": "x".repeat(513)}),
                vec![("refresh_token", "wrong_length")],
            ),
            (
                json!({"refresh_token": 1}),
                vec![("refresh_token", "wrong_type")],
            ),
            (
                json!({"refresh_token": "x", "scope": "y"}),
                vec![("scope", "unknown")],
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
