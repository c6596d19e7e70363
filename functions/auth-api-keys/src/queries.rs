use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::ApiKeyId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, ApiKey, Input, Secret};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { api_keys: Vec<ApiKey> },
    Created { api_key: ApiKey },
    Rotated { api_key: ApiKey },
    Revoked,
    ScopeExceeded,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::ScopeExceeded => handler::scope_exceeded(),
            Self::NotFound => handler::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("api_keys:manage"),
            Self::Found { .. } | Self::Created { .. } | Self::Rotated { .. } | Self::Revoked => {
                Problem::internal()
            }
        }
    }
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Vec<ApiKey>, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into()];
    match db::call(context, "SELECT auth_api_keys($1, $2)::text", &parameters).await? {
        Answer::Found { api_keys } => Ok(api_keys),
        other => Err(other.into_problem()),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: ApiKeyId,
    input: &Input,
    secret: &Secret,
) -> Result<ApiKey, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        input.name.clone().into(),
        secret.digest.0.to_vec().into(),
        secret.hint.clone().into(),
        input.scopes.clone().into(),
        input.ttl_secs.into(),
    ];
    let sql = "SELECT auth_api_key_create($1, $2, $3, $4, $5, $6, $7)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { api_key } => Ok(api_key),
        other => Err(other.into_problem()),
    }
}

pub async fn revoke(context: &Context, digest: TokenDigest, id: ApiKeyId) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    match db::call(
        context,
        "SELECT auth_api_key_revoke($1, $2)::text",
        &parameters,
    )
    .await?
    {
        Answer::Revoked => Ok(()),
        other => Err(other.into_problem()),
    }
}

pub async fn rotate(
    context: &Context,
    digest: TokenDigest,
    id: ApiKeyId,
    secret: &Secret,
    overlap_secs: i32,
) -> Result<ApiKey, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        secret.digest.0.to_vec().into(),
        secret.hint.clone().into(),
        overlap_secs.into(),
    ];
    let sql = "SELECT auth_api_key_rotate($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Rotated { api_key } => Ok(api_key),
        other => Err(other.into_problem()),
    }
}
