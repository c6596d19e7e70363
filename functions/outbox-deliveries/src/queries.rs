use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, OutboxMessageId};
use shared::store::db;
use shared::token::TokenDigest;

/// Most messages of one call. Each is a connection to the mail service.
const MAX_CLAIMED: i32 = 20;

/// How long a message belongs to the call that claimed it: several times what
/// the call may take, 5 s for the mail service and 2 x 2 s for Postgres.
const LEASE_SECS: i32 = 60;

/// Attempts until a message is given up. The pauses between them are 1, 2, 4, 8,
/// 16, 32 and three times 60 minutes: the last is about four hours after the first.
const MAX_ATTEMPTS: i32 = 10;

/// Characters of an error that are kept.
const MAX_ERROR_CHARS: i32 = 200;

/// A message that is to be sent.
#[derive(Deserialize)]
pub struct Message {
    /// [`OrganizationId::NONE`] for mail to a person about their own account.
    pub organization_id: OrganizationId,
    pub id: OutboxMessageId,
    pub kind: String,
    pub to: String,
    pub token: Option<String>,
    pub detail: Value,
}

/// What became of a message. Without an error it was sent.
#[derive(Serialize)]
pub struct Outcome {
    /// The UUIDs of the message, as the database reads them.
    pub organization_id: String,
    pub id: String,
    pub error: Option<String>,
}

/// Claims messages that are due.
pub async fn claim(context: &Context, digest: TokenDigest) -> Result<Vec<Message>, Problem> {
    claim_up_to(context, digest, MAX_CLAIMED).await
}

/// Refuses who may not deliver, and claims nothing.
pub async fn check_permission(context: &Context, digest: TokenDigest) -> Result<(), Problem> {
    claim_up_to(context, digest, 0).await.map(drop)
}

async fn claim_up_to(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Vec<Message>, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into(), LEASE_SECS.into()];
    let sql = "SELECT outbox_claim($1, $2, $3)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}

/// Records what became of the messages of one claim.
pub async fn record(context: &Context, outcomes: &[Outcome]) -> Result<(), Problem> {
    let results = serde_json::to_string(outcomes).map_err(|_| Problem::internal())?;
    let parameters = [results.into(), MAX_ATTEMPTS.into(), MAX_ERROR_CHARS.into()];
    let sql = "SELECT outbox_record($1::text::jsonb, $2, $3)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
