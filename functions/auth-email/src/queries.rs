use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OutboxMessageId, UserId};
use shared::mail;
use shared::mail::outbox::{Draft, Written};
use shared::store::db;
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

use crate::handler;

/// What became of the wish for another verification mail.
pub enum Verification {
    Accepted(Option<Written>),
    /// There is nothing left to verify.
    Verified,
}

/// What a token did.
pub enum Confirmed {
    Verified,
    /// With the notice to the old email.
    Changed(Option<Written>),
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ChangeAnswer {
    Accepted { mail: Option<Written> },
    Unchanged,
    TooManyMails { retry_after_secs: u32 },
    RecentLoginRequired,
    SessionRequired,
    Unauthenticated,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum VerificationAnswer {
    Accepted { mail: Option<Written> },
    Verified,
    TooManyMails { retry_after_secs: u32 },
    SessionRequired,
    Unauthenticated,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Proceed { user_id: UserId },
    InvalidToken,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ConfirmAnswer {
    Verified,
    Changed { mail: Option<Written> },
    InvalidToken,
}

/// Writes the mail to the new email, which goes to nobody when it is taken.
pub async fn change(
    context: &Context,
    digest: TokenDigest,
    email: &EmailAddress,
    address: &str,
    draft: &Draft,
) -> Result<Option<Written>, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        email.as_str().to_owned().into(),
        address.to_owned().into(),
        message_id,
        token,
        token_digest,
        mail::EMAIL_TTL_SECS.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
        mail::MAX_PER_ADDRESS_PER_HOUR.into(),
    ];
    let sql = "SELECT auth_email_change($1, $2, $3, $4, $5, $6, $7, $8, $9)::text";
    match db::call(context, sql, &parameters).await? {
        ChangeAnswer::Accepted { mail } => Ok(mail),
        ChangeAnswer::Unchanged => Err(handler::unchanged()),
        ChangeAnswer::TooManyMails { retry_after_secs } => {
            Err(mail::too_many_mails(retry_after_secs))
        }
        ChangeAnswer::RecentLoginRequired => Err(Problem::recent_login_required()),
        ChangeAnswer::SessionRequired => Err(Problem::session_required()),
        ChangeAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}

/// Writes another mail that verifies the present email.
pub async fn verify(
    context: &Context,
    digest: TokenDigest,
    address: &str,
    draft: &Draft,
) -> Result<Verification, Problem> {
    let [message_id, token, token_digest] = draft.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        address.to_owned().into(),
        message_id,
        token,
        token_digest,
        mail::EMAIL_TTL_SECS.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
        mail::MAX_PER_ADDRESS_PER_HOUR.into(),
    ];
    let sql = "SELECT auth_email_verification($1, $2, $3, $4, $5, $6, $7, $8)::text";
    match db::call(context, sql, &parameters).await? {
        VerificationAnswer::Accepted { mail } => Ok(Verification::Accepted(mail)),
        VerificationAnswer::Verified => Ok(Verification::Verified),
        VerificationAnswer::TooManyMails { retry_after_secs } => {
            Err(mail::too_many_mails(retry_after_secs))
        }
        VerificationAnswer::SessionRequired => Err(Problem::session_required()),
        VerificationAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}

/// Whose email a token would change or verify.
pub async fn find_holder(context: &Context, digest: TokenDigest) -> Result<UserId, Problem> {
    let sql = "SELECT auth_email_confirm_begin($1)::text";
    match db::call(context, sql, &[digest.0.to_vec().into()]).await? {
        BeginAnswer::Proceed { user_id } => Ok(user_id),
        BeginAnswer::InvalidToken => Err(mail::invalid_token()),
    }
}

/// Spends the token. The message that this causes, if any, names the use: by its
/// id a statement that is sent twice knows itself.
pub async fn confirm(
    context: &Context,
    digest: TokenDigest,
    message_id: OutboxMessageId,
) -> Result<Confirmed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        message_id.as_uuid().into(),
        message_id.as_uuid().into(),
    ];
    let sql = "SELECT auth_email_confirm($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        ConfirmAnswer::Verified => Ok(Confirmed::Verified),
        ConfirmAnswer::Changed { mail } => Ok(Confirmed::Changed(mail)),
        ConfirmAnswer::InvalidToken => Err(mail::invalid_token()),
    }
}
