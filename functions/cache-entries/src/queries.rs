use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

#[derive(Debug, Deserialize)]
struct Allowed {}

/// Records that somebody who may takes away what is cached of `subject`.
pub async fn allow(context: &Context, digest: TokenDigest, subject: &str) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into(), subject.to_owned().into()];
    let sql = "SELECT cache_removal_allow($1, $2)::text";
    let Allowed {} = db::call(context, sql, &parameters, db::no_refusal_of_its_own).await?;
    Ok(())
}
