use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Ended,
    SessionRequired,
    Unauthenticated,
}

pub async fn end_session(context: &Context, digest: TokenDigest) -> Result<(), Problem> {
    match db::call(
        context,
        "SELECT auth_logout($1)::text",
        &[digest.0.to_vec().into()],
    )
    .await?
    {
        Answer::Ended => Ok(()),
        Answer::SessionRequired => Err(Problem::session_required()),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}
