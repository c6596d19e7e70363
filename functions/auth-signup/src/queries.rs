use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::mail;
use shared::mail::outbox::{Draft, Written};
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;

/// Who is to be registered.
pub struct Registration<'a> {
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub email: &'a EmailAddress,
    pub password_hash: &'a str,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    mail::refuse(refused).or_else(|| lockout::refuse(refused))
}

/// Takes the lease, unless the address has caused too much mail.
pub async fn begin(context: &Context, lease: &HashLease) -> Result<(), Problem> {
    let [lease_id, host_id, max_leases, address] = lease.parameters();
    let max_mails = mail::MAX_PER_ADDRESS_PER_HOUR.into();
    let parameters = [max_mails, lease_id, host_id, max_leases, address];
    let sql = "SELECT auth_signup_begin($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Registers the user unless the email is taken, and writes the mail that says
/// which. The caller is not told. `None` when this is the same statement, sent again.
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
        lease.address(),
    ];
    let sql = "SELECT auth_signup($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
