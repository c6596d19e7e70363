use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::Output;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found(Found),
    Unauthenticated,
}

#[derive(Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    #[serde(flatten)]
    pub output: Output,
}

pub async fn me(context: &Context, digest: TokenDigest) -> Result<Found, Problem> {
    match db::call(
        context,
        "SELECT auth_me($1)::text",
        &[digest.0.to_vec().into()],
    )
    .await?
    {
        Answer::Found(found) => Ok(found),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}
