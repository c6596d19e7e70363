//! Rotation with reuse detection: a refresh token works once. Whoever sends a
//! spent one, thief or victim, ends the session for both; which of them it is
//! nobody can tell.

use shared::auth::session::{Carrier, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{REFRESH_COOKIE, Reply, Request};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::token::{self, PresentedToken, TokenKind};

use crate::operations::{Refresh, invalid_refresh_token};
use crate::queries;

/// The token from the body, or, for a request without one, from the cookie.
async fn presented(request: &Request) -> Result<(PresentedToken, Carrier), Problem> {
    if request.header("content-type")?.is_none() {
        let token = request.cookie_token(REFRESH_COOKIE, TokenKind::Refresh)?;
        return Ok((token, Carrier::Cookie));
    }
    let (body, _) = request.json::<Refresh>().await?;
    let token = token::parse(TokenKind::Refresh, &body.refresh_token);
    let token = token.ok_or_else(invalid_refresh_token)?;
    Ok((token, Carrier::Bearer))
}

pub async fn refresh(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (token, carrier) = presented(request).await?;
    let (access, refresh) = (context.random()?, context.random()?);
    let pair = TokenPair::mint(token.organization, token.owner, &access, &refresh);
    let scopes = Scope::all_of_user(token.owner);
    let write = queries::refresh(context, token.digest, &pair);
    // Reuse comes back as no session and not as a problem, so that what is cached
    // of the session it ended is invalidated.
    let session = cache::during_write(context, &scopes, write)
        .await?
        .ok_or_else(invalid_refresh_token)?;
    pair.reply(session, carrier)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<Refresh>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
