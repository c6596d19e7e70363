use serde::Deserialize;
use shared::auth::hash_lease::{self, HashLease};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::mail;
use shared::mail::outbox::{Draft, Written};
use shared::store::db;
use shared::text::email::EmailAddress;

/// Who is to be registered.
pub struct Registration<'a> {
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub email: &'a EmailAddress,
    pub password_hash: &'a str,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Proceed,
    Busy,
    TooManyMails { retry_after_secs: u32 },
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Accepted { mail: Option<Written> },
}

/// Takes the lease, unless the address has caused too much mail.
pub async fn begin(context: &Context, address: &str, lease: &HashLease) -> Result<(), Problem> {
    let [lease_id, host_id, max_leases] = lease.parameters();
    let parameters = [
        address.to_owned().into(),
        mail::MAX_PER_ADDRESS_PER_HOUR.into(),
        lease_id,
        host_id,
        max_leases,
    ];
    let sql = "SELECT auth_signup_begin($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        BeginAnswer::Proceed => Ok(()),
        BeginAnswer::Busy => Err(hash_lease::too_many_hashes()),
        BeginAnswer::TooManyMails { retry_after_secs } => {
            Err(mail::too_many_mails(retry_after_secs))
        }
    }
}

/// Registers the user unless the email is taken, and writes the mail that says
/// which. The caller is not told.
pub async fn signup(
    context: &Context,
    registration: &Registration<'_>,
    lease: &HashLease,
    draft: &Draft,
) -> Result<Option<Written>, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        registration.user_id.as_uuid().into(),
        registration.organization_id.as_uuid().into(),
        registration.email.as_str().to_owned().into(),
        registration.password_hash.to_owned().into(),
        lease.id(),
        message_id,
        token,
        token_digest,
        mail::EMAIL_TTL_SECS.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
    ];
    let sql = "SELECT auth_signup($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text";
    let Answer::Accepted { mail } = db::call(context, sql, &parameters).await?;
    Ok(mail)
}
