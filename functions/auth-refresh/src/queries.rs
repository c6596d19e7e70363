use shared::auth::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations;

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "invalid_refresh_token" => Some(operations::invalid_refresh_token()),
        _ => None,
    }
}

/// Spends the token. `None` if it was spent before, which ended its session: no refusal,
/// because something was changed.
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
    let sql = "SELECT auth_refresh($1, $2, $3, $4, $5)::text";
    let session: Option<Session> = db::call(context, sql, &parameters, refuse).await?;
    if session.is_none() {
        context.log(
            "warn",
            "a spent refresh token was presented; every session of its sign-in was ended",
        );
    }
    Ok(session)
}
