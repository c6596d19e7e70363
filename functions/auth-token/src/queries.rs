use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{ApiKeyId, OrganizationId, SessionId, UserId};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::ORGANIZATION_REQUIRED;

/// What a token is to say, and the key that signs it.
#[derive(Debug, Deserialize)]
pub struct Grant {
    pub kid: String,
    pub issued_secs: u64,
    pub expires_secs: u64,
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub session_id: Option<SessionId>,
    pub api_key_id: Option<ApiKeyId>,
    pub scope: Vec<String>,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "organization_required" => {
            Some(ORGANIZATION_REQUIRED.because("Change to an organization first, or make one."))
        }
        "scope_exceeded" => Some(Problem::invalid_field(
            "scope",
            "exceeds_own",
            "must be permissions that you hold yourself",
        )),
        _ => None,
    }
}

/// `scope` is the wanted part of the credential's permissions, all of them when there
/// is none; `new_kid` becomes a signing key if one is due.
pub async fn grant(
    context: &Context,
    digest: TokenDigest,
    new_kid: String,
    scope: Option<Vec<String>>,
) -> Result<Grant, Problem> {
    // An empty list is never asked for, so it can stand for none.
    let parameters = [
        digest.0.to_vec().into(),
        new_kid.into(),
        scope.unwrap_or_default().into(),
    ];
    let sql = "SELECT auth_token($1, $2, nullif($3::text[], '{}'))::text";
    db::call(context, sql, &parameters, refuse).await
}
