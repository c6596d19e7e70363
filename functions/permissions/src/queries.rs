use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::PermissionList;

pub async fn list(context: &Context, digest: TokenDigest) -> Result<PermissionList, Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "SELECT permissions_list($1)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
