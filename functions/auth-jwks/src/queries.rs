use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;

/// The ids of the published keys.
pub async fn published(context: &Context) -> Result<Vec<String>, Problem> {
    let sql = "SELECT auth_jwks()::text";
    db::call(context, sql, &[], db::no_refusal_of_its_own).await
}
