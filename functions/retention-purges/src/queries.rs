use serde::Deserialize;
use shared::auth::jwt::SigningKeyId;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::{PurgeStatus, RowsDeleted};

/// What one round did.
#[derive(Deserialize)]
pub struct Round {
    pub status: PurgeStatus,
    pub deleted: RowsDeleted,
    pub is_complete: bool,
    pub signing_key: Option<SigningKeyId>,
}

/// Deletes up to `max_rows` of each table of what has lapsed, unless somebody else is doing it.
/// `new_kid` becomes a signing key if one is due.
pub async fn purge_round(
    context: &Context,
    digest: TokenDigest,
    new_kid: String,
    max_rows: i32,
) -> Result<Round, Problem> {
    let parameters = [digest.0.to_vec().into(), new_kid.into(), max_rows.into()];
    let sql = "SELECT retention_purge($1, $2, $3)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
