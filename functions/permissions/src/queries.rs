use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::Permission;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { permissions: Vec<Permission> },
    Unauthenticated,
}

pub async fn list(context: &Context, digest: TokenDigest) -> Result<Vec<Permission>, Problem> {
    let parameters = [digest.0.to_vec().into()];
    match db::call(context, "SELECT permissions_list($1)::text", &parameters).await? {
        Answer::Listed { permissions } => Ok(permissions),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}
