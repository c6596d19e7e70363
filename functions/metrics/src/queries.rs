use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::metrics::StoredFigures;
use shared::store::db;
use shared::token::TokenDigest;

/// What the database keeps.
pub async fn read(context: &Context, digest: TokenDigest) -> Result<StoredFigures, Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "SELECT metrics_read($1)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
