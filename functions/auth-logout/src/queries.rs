use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::LoggedOut;

pub async fn end_session(context: &Context, digest: TokenDigest) -> Result<LoggedOut, Problem> {
    let sql = "SELECT auth_logout($1)::text";
    let parameters = [digest.0.to_vec().into()];
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
