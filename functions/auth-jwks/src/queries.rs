use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;

#[derive(Deserialize)]
struct Published {
    kids: Vec<String>,
}

/// The ids of the published keys; `new_kid` becomes one if there is none that signs.
pub async fn published(context: &Context, new_kid: String) -> Result<Vec<String>, Problem> {
    let published: Published =
        db::call(context, "SELECT auth_jwks($1)::text", &[new_kid.into()]).await?;
    Ok(published.kids)
}
