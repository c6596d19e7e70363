use serde::Deserialize;
use shared::auth::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Refreshed(Session),
    Refused,
    Reused,
}

/// Spends the token; `None` if it was spent before, which ended its session.
pub async fn refresh(
    context: &Context,
    digest: TokenDigest,
    pair: &TokenPair,
) -> Result<Option<Session>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        pair.access_digest().0.to_vec().into(),
        pair.refresh_digest().0.to_vec().into(),
        ACCESS_TTL_SECS.into(),
        REFRESH_TTL_SECS.into(),
    ];
    let answer = db::call(
        context,
        "SELECT auth_refresh($1, $2, $3, $4, $5)::text",
        &parameters,
    )
    .await?;
    Ok(match answer {
        Answer::Refreshed(session) => Some(session),
        // Nothing was changed, and whoever asked may be nobody.
        Answer::Refused => return Err(handler::refused()),
        Answer::Reused => {
            context.log(
                "warn",
                "a spent refresh token was presented; its session was ended",
            );
            None
        }
    })
}
