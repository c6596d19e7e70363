use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::SessionId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Session};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ListAnswer {
    Found { sessions: Vec<Session> },
    SessionRequired,
    Unauthenticated,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum RevokeAnswer {
    Revoked { count: u64 },
    NotFound,
    SessionRequired,
    Unauthenticated,
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Vec<Session>, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into()];
    match db::call(context, "SELECT auth_sessions($1, $2)::text", &parameters).await? {
        ListAnswer::Found { sessions } => Ok(sessions),
        ListAnswer::SessionRequired => Err(Problem::session_required()),
        ListAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}

/// Ends the session, or all but the caller's own, and says how many.
pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    session: Option<SessionId>,
) -> Result<u64, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        session.map(|id| id.as_uuid()).into(),
    ];
    match db::call(
        context,
        "SELECT auth_sessions_revoke($1, $2)::text",
        &parameters,
    )
    .await?
    {
        RevokeAnswer::Revoked { count } => Ok(count),
        RevokeAnswer::NotFound => Err(handler::not_found()),
        RevokeAnswer::SessionRequired => Err(Problem::session_required()),
        RevokeAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}
