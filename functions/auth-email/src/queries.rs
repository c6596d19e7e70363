use serde::Deserialize;
use shared::http::ClientAddress;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OutboxMessageId, UserId};
use shared::mail;
use shared::mail::outbox::{Draft, Written};
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

use crate::operations::EmailConfirmedStatus;

/// What became of the wish for another verification mail.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Verification {
    /// No mail is written by a statement that is sent twice.
    Accepted { mail: Option<Written> },
    /// There is nothing left to verify.
    Verified,
}

/// What a token did.
#[derive(Deserialize)]
pub struct Spent {
    pub status: EmailConfirmedStatus,
    /// The notice to the old email, when the email was changed.
    pub mail: Option<Written>,
}

fn refuse_change(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "unchanged" => Some(Problem::invalid_field(
            "email",
            "unchanged",
            "is your email already",
        )),
        _ => mail::refuse(refused),
    }
}

/// Writes the mail to the new email. It goes to nobody when the email is taken.
pub async fn change(
    context: &Context,
    digest: TokenDigest,
    email: &EmailAddress,
    address: &ClientAddress,
    draft: &Draft,
) -> Result<Option<Written>, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        email.as_str().to_owned().into(),
        address.counted().into(),
        message_id,
        token,
        token_digest,
        mail::EMAIL_TTL_SECS.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
        mail::MAX_PER_ADDRESS_PER_HOUR.into(),
    ];
    let sql = "SELECT auth_email_change($1, $2, $3, $4, $5, $6, $7, $8, $9)::text";
    db::call(context, sql, &parameters, refuse_change).await
}

/// Writes another mail that verifies the present email.
pub async fn verify(
    context: &Context,
    digest: TokenDigest,
    address: &ClientAddress,
    draft: &Draft,
) -> Result<Verification, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        address.counted().into(),
        message_id,
        token,
        token_digest,
        mail::EMAIL_TTL_SECS.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
        mail::MAX_PER_ADDRESS_PER_HOUR.into(),
    ];
    let sql = "SELECT auth_email_verification($1, $2, $3, $4, $5, $6, $7, $8)::text";
    db::call(context, sql, &parameters, mail::refuse).await
}

/// Whose email a token would change or verify.
pub async fn find_holder(context: &Context, digest: TokenDigest) -> Result<UserId, Problem> {
    let sql = "SELECT auth_email_confirm_begin($1)::text";
    let parameters = [digest.0.to_vec().into()];
    db::call(context, sql, &parameters, mail::refuse).await
}

/// Spends the token. After a change the draft is the link that undoes it. The id of the message
/// that this may cause names the use: by it, a statement that is sent twice knows itself.
pub async fn confirm(
    context: &Context,
    digest: TokenDigest,
    draft: &Draft,
) -> Result<Spent, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        message_id.clone(),
        message_id,
        token,
        token_digest,
        mail::UNDO_TTL_SECS.into(),
    ];
    let sql = "SELECT auth_email_confirm($1, $2, $3, $4, $5, $6)::text";
    db::call(context, sql, &parameters, mail::refuse).await
}

/// What an undoing has done.
#[derive(Deserialize)]
pub struct Undone {
    /// The link that sets another password. No mail is written by a statement that is sent
    /// twice.
    pub mail: Vec<Written>,
}

/// Whose change of the email a token would undo.
pub async fn find_owner(context: &Context, digest: TokenDigest) -> Result<UserId, Problem> {
    let sql = "SELECT auth_email_undo_begin($1)::text";
    let parameters = [digest.0.to_vec().into()];
    db::call(context, sql, &parameters, mail::refuse).await
}

/// Gives the old email back. The draft is the link that sets another password, and
/// `notice_id` the message to the email that the account had; it names the use.
pub async fn undo(
    context: &Context,
    digest: TokenDigest,
    notice_id: OutboxMessageId,
    draft: &Draft,
) -> Result<Undone, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        notice_id.as_uuid().into(),
        notice_id.as_uuid().into(),
        message_id,
        token,
        token_digest,
        mail::RESET_TTL_SECS.into(),
    ];
    let sql = "SELECT auth_email_undo($1, $2, $3, $4, $5, $6, $7)::text";
    db::call(context, sql, &parameters, mail::refuse).await
}
