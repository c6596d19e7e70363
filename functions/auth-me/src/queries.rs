use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::Me;

#[derive(Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    pub me: Me,
}

pub async fn find(context: &Context, digest: TokenDigest) -> Result<Found, Problem> {
    let sql = "SELECT auth_me($1)::text";
    let parameters = [digest.0.to_vec().into()];
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
