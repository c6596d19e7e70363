use serde::Deserialize;
use shared::auth::hash_lease::{self, HashLease};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OutboxMessageId, UserId};
use shared::mail;
use shared::mail::outbox::Written;
use shared::store::db;
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

/// Whose password is to be replaced.
pub struct Holder {
    pub user_id: UserId,
    pub email: EmailAddress,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Proceed { user_id: UserId, email: String },
    Busy,
    InvalidToken,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Changed { mail: Option<Written> },
    InvalidToken,
}

/// Looks the token up, and takes the lease.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    lease: &HashLease,
) -> Result<Holder, Problem> {
    let [lease_id, host_id, max_leases] = lease.parameters();
    let parameters = [digest.0.to_vec().into(), lease_id, host_id, max_leases];
    let sql = "SELECT auth_password_reset_begin($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        BeginAnswer::Proceed { user_id, email } => Ok(Holder {
            user_id,
            email: EmailAddress::parse(&email).map_err(|_| Problem::internal())?,
        }),
        BeginAnswer::Busy => Err(hash_lease::too_many_hashes()),
        BeginAnswer::InvalidToken => Err(mail::invalid_token()),
    }
}

/// Spends the token and replaces the password. The message that this causes
/// names the use: by its id a statement that is sent twice knows itself.
pub async fn reset(
    context: &Context,
    digest: TokenDigest,
    message_id: OutboxMessageId,
    new_hash: &str,
    lease: &HashLease,
) -> Result<Option<Written>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        message_id.as_uuid().into(),
        new_hash.to_owned().into(),
        message_id.as_uuid().into(),
        lease.id(),
    ];
    let sql = "SELECT auth_password_reset($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Changed { mail } => Ok(mail),
        Answer::InvalidToken => Err(mail::invalid_token()),
    }
}
