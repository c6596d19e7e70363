use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{ApiKeyId, OrganizationId, SessionId};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Caller, Subject};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum JwtAnswer {
    Answered {
        now_secs: u64,
        subject: Option<Subject>,
    },
    Unauthenticated,
    Forbidden,
}

/// What a JWT claims to be.
pub struct Claimed<'a> {
    pub kid: &'a str,
    pub organization_id: OrganizationId,
    pub session_id: Option<SessionId>,
    pub api_key_id: Option<ApiKeyId>,
}

/// The database's time in seconds, and what the claimed session or API key stands
/// for, if the key is published and both are of the caller's organization.
pub async fn introspect_jwt(
    context: &Context,
    caller: TokenDigest,
    claimed: &Claimed<'_>,
) -> Result<(u64, Option<Subject>), Problem> {
    let parameters = [
        caller.0.to_vec().into(),
        claimed.kid.to_owned().into(),
        claimed.organization_id.as_uuid().into(),
        claimed.session_id.map(|id| id.as_uuid()).into(),
        claimed.api_key_id.map(|id| id.as_uuid()).into(),
    ];
    let sql = "SELECT auth_introspect_jwt($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        JwtAnswer::Answered { now_secs, subject } => Ok((now_secs, subject)),
        JwtAnswer::Unauthenticated => Err(Problem::unauthenticated()),
        JwtAnswer::Forbidden => Err(Problem::forbidden("tokens:introspect")),
    }
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Answered {
        caller_organization_id: OrganizationId,
        caller_expires_millis: Option<u64>,
        subject: Option<Subject>,
    },
    Unauthenticated,
    Forbidden,
}

pub struct Found {
    pub caller: Caller,
    pub caller_expires_millis: Option<u64>,
    pub subject: Option<Subject>,
}

pub async fn introspect(
    context: &Context,
    caller: TokenDigest,
    subject: TokenDigest,
) -> Result<Found, Problem> {
    let parameters = [caller.0.to_vec().into(), subject.0.to_vec().into()];
    match db::call(context, "SELECT auth_introspect($1, $2)::text", &parameters).await? {
        Answer::Answered {
            caller_organization_id,
            caller_expires_millis,
            subject,
        } => Ok(Found {
            caller: Caller {
                organization_id: caller_organization_id,
            },
            caller_expires_millis,
            subject,
        }),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("tokens:introspect")),
    }
}
