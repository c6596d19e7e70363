use shared::auth::jwt::SigningKeyId;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{SigningKeyList, SigningKeyRotated, SigningKeyWithdrawn, rotation_pending};

/// Most keys that are listed: at four rotations a year, 25 years of them.
const MAX_LISTED: i32 = 100;

pub fn not_found() -> Problem {
    Problem::not_found("There is no signing key with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "rotation_pending" => refused.fact("retry_after_secs").map(rotation_pending),
        "not_found" => Some(not_found()),
        _ => None,
    }
}

pub async fn list(context: &Context, digest: TokenDigest) -> Result<SigningKeyList, Problem> {
    let parameters = [digest.0.to_vec().into(), MAX_LISTED.into()];
    let sql = "SELECT auth_signing_keys($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn rotate(
    context: &Context,
    digest: TokenDigest,
    new_kid: String,
) -> Result<SigningKeyRotated, Problem> {
    let parameters = [digest.0.to_vec().into(), new_kid.into()];
    let sql = "SELECT auth_signing_key_rotate($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn withdraw(
    context: &Context,
    digest: TokenDigest,
    kid: SigningKeyId,
) -> Result<SigningKeyWithdrawn, Problem> {
    let parameters = [digest.0.to_vec().into(), String::from(kid).into()];
    let sql = "SELECT auth_signing_key_withdraw($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
