use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::SessionId;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{SessionList, SessionsRevoked};

/// Most sessions that are listed. Who has more sees the newest of them.
const MAX_LISTED: i32 = 100;

pub fn not_found() -> Problem {
    Problem::not_found("You have no live session with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "not_found" => Some(not_found()),
        _ => None,
    }
}

pub async fn list(context: &Context, digest: TokenDigest) -> Result<SessionList, Problem> {
    let parameters = [digest.0.to_vec().into(), MAX_LISTED.into()];
    let sql = "SELECT auth_sessions($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Ends the session or, when none is named, all but the caller's own.
pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    session: Option<SessionId>,
) -> Result<SessionsRevoked, Problem> {
    let session = session.map(|id| id.as_uuid()).into();
    let parameters = [digest.0.to_vec().into(), session];
    let sql = "SELECT auth_sessions_revoke($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
