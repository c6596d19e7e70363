use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::ApiKeyId;
use shared::organizations::Permission;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{ApiKey, ApiKeyRevoked};
use crate::secret::Secret;

/// A key that is to be made.
pub struct Wanted {
    pub id: ApiKeyId,
    pub name: String,
    pub scopes: Vec<Permission>,
    pub ttl_secs: Option<i64>,
}

/// A key, and the hashes by which the key-value store knows it.
#[derive(Deserialize)]
pub struct Listed {
    pub api_key: ApiKey,
    pub hashes: Vec<String>,
}

/// 404: the caller has no such key.
pub fn not_found() -> Problem {
    Problem::not_found("You have no API key with this id.")
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "scope_exceeded" => Problem::invalid_field(
            "scopes",
            "exceeds_own",
            "must be permissions that you hold yourself",
        ),
        _ => return None,
    })
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Vec<Listed>, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into()];
    let sql = "SELECT auth_api_keys($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    wanted: Wanted,
    secret: &Secret,
) -> Result<ApiKey, Problem> {
    let scopes: Vec<String> = wanted.scopes.into_iter().map(Into::into).collect();
    let parameters = [
        digest.0.to_vec().into(),
        wanted.id.as_uuid().into(),
        wanted.name.into(),
        secret.digest.0.to_vec().into(),
        secret.hint.clone().into(),
        scopes.into(),
        wanted.ttl_secs.into(),
    ];
    let sql = "SELECT auth_api_key_create($1, $2, $3, $4, $5, $6, $7::bigint::integer)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn revoke(
    context: &Context,
    digest: TokenDigest,
    id: ApiKeyId,
) -> Result<ApiKeyRevoked, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT auth_api_key_revoke($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn rotate(
    context: &Context,
    digest: TokenDigest,
    id: ApiKeyId,
    secret: &Secret,
    overlap_secs: i64,
) -> Result<ApiKey, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        secret.digest.0.to_vec().into(),
        secret.hint.clone().into(),
        overlap_secs.into(),
    ];
    let sql = "SELECT auth_api_key_rotate($1, $2, $3, $4, $5::bigint::integer)::text";
    db::call(context, sql, &parameters, refuse).await
}
