use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;

/// The ids of the published keys; `new_kid` becomes one if there is none that signs.
pub async fn published(context: &Context, new_kid: String) -> Result<Vec<String>, Problem> {
    let sql = "SELECT auth_jwks($1)::text";
    db::call(context, sql, &[new_kid.into()], db::no_refusal_of_its_own).await
}
