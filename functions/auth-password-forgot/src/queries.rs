use shared::http::ClientAddress;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::mail;
use shared::mail::outbox::{Draft, Written};
use shared::store::db;
use shared::text::email::EmailAddress;

/// Writes the mail. It goes to nobody when nobody has the email.
pub async fn forgot(
    context: &Context,
    email: &EmailAddress,
    address: &ClientAddress,
    draft: &Draft,
) -> Result<Option<Written>, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        email.as_str().to_owned().into(),
        address.counted().into(),
        message_id,
        token,
        token_digest,
        mail::RESET_TTL_SECS.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
        mail::MAX_PER_ADDRESS_PER_HOUR.into(),
    ];
    let sql = "SELECT auth_password_forgot($1, $2, $3, $4, $5, $6, $7, $8)::text";
    db::call(context, sql, &parameters, mail::refuse).await
}
