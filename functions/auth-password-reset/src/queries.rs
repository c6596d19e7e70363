use serde::Deserialize;
use shared::auth::hash_lease::{self, HashLease};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OutboxMessageId, UserId};
use shared::mail;
use shared::mail::outbox::Written;
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

/// Whose password is to be replaced.
#[derive(Deserialize)]
pub struct Holder {
    pub user_id: UserId,
    pub email: EmailAddress,
}

fn refuse_begin(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "too_many_hashes" => Some(hash_lease::too_many_hashes()),
        _ => mail::refuse(refused),
    }
}

/// Looks the token up, and takes the lease.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    lease: &HashLease,
) -> Result<Holder, Problem> {
    let [lease_id, host_id, max_leases, address] = lease.parameters();
    let digest = digest.0.to_vec().into();
    let parameters = [digest, lease_id, host_id, max_leases, address];
    let sql = "SELECT auth_password_reset_begin($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, refuse_begin).await
}

/// What a reset has done.
#[derive(Deserialize)]
struct Reset {
    mail: Option<Written>,
}

/// Spends the token and replaces the password; returns the mail that tells of it. The id of the
/// message names the use: by it, a statement that is sent twice knows itself, and answers no mail
/// then.
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
        lease.address(),
    ];
    let sql = "SELECT auth_password_reset($1, $2, $3, $4, $5, $6)::text";
    let reset: Reset = db::call(context, sql, &parameters, mail::refuse).await?;
    Ok(reset.mail)
}
