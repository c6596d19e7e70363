use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, SigningKey};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { signing_keys: Vec<SigningKey> },
    Rotated { signing_key: SigningKey },
    Withdrawn,
    RotationPending { retry_after_secs: u32 },
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::RotationPending { retry_after_secs } => {
                handler::rotation_pending(retry_after_secs)
            }
            Self::NotFound => handler::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("signing_keys:manage"),
            Self::Found { .. } | Self::Rotated { .. } | Self::Withdrawn => Problem::internal(),
        }
    }
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Vec<SigningKey>, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into()];
    let sql = "SELECT auth_signing_keys($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { signing_keys } => Ok(signing_keys),
        other => Err(other.into_problem()),
    }
}

pub async fn rotate(
    context: &Context,
    digest: TokenDigest,
    new_kid: String,
) -> Result<SigningKey, Problem> {
    let parameters = [digest.0.to_vec().into(), new_kid.into()];
    let sql = "SELECT auth_signing_key_rotate($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Rotated { signing_key } => Ok(signing_key),
        other => Err(other.into_problem()),
    }
}

pub async fn withdraw(context: &Context, digest: TokenDigest, kid: String) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into(), kid.into()];
    let sql = "SELECT auth_signing_key_withdraw($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Withdrawn => Ok(()),
        other => Err(other.into_problem()),
    }
}
