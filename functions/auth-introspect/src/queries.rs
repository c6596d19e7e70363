use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};
use shared::store::db;
use shared::token::TokenDigest;

/// Who asks. Cached only for callers that may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub organization_id: OrganizationId,
}

/// What a live token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub session_id: Option<SessionId>,
    pub api_key_id: Option<ApiKeyId>,
    /// Absent for an API key that does not expire.
    pub expires_millis: Option<u64>,
    pub permissions: Vec<String>,
}

/// Who asks, and what for.
#[derive(Deserialize)]
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
    let sql = "SELECT auth_introspect($1, $2)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// What a JWT claims to be.
pub struct Claimed<'a> {
    pub kid: &'a str,
    pub organization_id: OrganizationId,
    pub session_id: Option<SessionId>,
    pub api_key_id: Option<ApiKeyId>,
}

/// What the claimed session or API key stands for at present.
#[derive(Deserialize)]
pub struct AtPresent {
    /// The database's time.
    pub now_secs: u64,
    /// Only if the signing key is published, and both are of the caller's organization.
    pub subject: Option<Subject>,
}

pub async fn introspect_jwt(
    context: &Context,
    caller: TokenDigest,
    claimed: &Claimed<'_>,
) -> Result<AtPresent, Problem> {
    let parameters = [
        caller.0.to_vec().into(),
        claimed.kid.to_owned().into(),
        claimed.organization_id.as_uuid().into(),
        claimed.session_id.map(|id| id.as_uuid()).into(),
        claimed.api_key_id.map(|id| id.as_uuid()).into(),
    ];
    let sql = "SELECT auth_introspect_jwt($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
