//! An email becomes a user's only when they open the link that was sent to it. Asking
//! for an email that somebody has gets the same answer. The email that it was before is sent a link
//! that gives it back.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::mail::MailAccepted;
use shared::mail::outbox::{self, Draft};
use shared::store::cache;
use shared::store::cache_key::Scope;

use crate::operations::{
    EmailChange, EmailConfirmation, EmailConfirmed, EmailUndoing, EmailUndone, EmailUndoneStatus,
    EmailVerified, EmailVerifiedStatus,
};
use crate::queries::{self, Verification};

pub async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (change, _) = request.json::<EmailChange>().await?;
    let draft = Draft::draw(context)?;
    let address = request.client_address(context).await?;
    let mail = queries::change(context, token.digest, &change.email, &address, &draft).await?;
    outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
    Reply::json(202, &MailAccepted::ANSWER)
}

pub async fn verify(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let draft = Draft::draw(context)?;
    let address = request.client_address(context).await?;
    match queries::verify(context, token.digest, &address, &draft).await? {
        Verification::Accepted { mail } => {
            outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
            Reply::json(202, &MailAccepted::ANSWER)
        }
        Verification::Verified => {
            let status = EmailVerifiedStatus::Verified;
            Reply::json(200, &EmailVerified { status })
        }
    }
}

pub async fn confirm(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (confirmation, _) = request.json::<EmailConfirmation>().await?;
    let token = confirmation.token.presented()?;
    let user_id = queries::find_holder(context, token.digest).await?;
    let scopes = Scope::all_of_user(user_id);
    let draft = Draft::draw(context)?;
    let write = queries::confirm(context, token.digest, &draft);
    let spent = cache::during_write(context, &scopes, write).await?;
    outbox::announce(context, spent.mail.as_ref(), Some(draft.token())).await?;
    let status = spent.status;
    Reply::json(200, &EmailConfirmed { status })
}

/// Whoever reads the mail of the old email is the account's owner: the answer is no session,
/// and a link that sets another password.
pub async fn undo(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (undoing, _) = request.json::<EmailUndoing>().await?;
    let token = undoing.token.presented()?;
    let user_id = queries::find_owner(context, token.digest).await?;
    let scopes = Scope::all_of_user(user_id);
    let notice_id = outbox::message_to_person(context)?;
    let draft = Draft::draw(context)?;
    let write = queries::undo(context, token.digest, notice_id, &draft);
    let undone = cache::during_write(context, &scopes, write).await?;
    outbox::announce(context, undone.mail.first(), Some(draft.token())).await?;
    let status = EmailUndoneStatus::Undone;
    Reply::json(200, &EmailUndone { status })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input::{self, Input};

    use super::*;

    fn check<T: Input>(body: Value, expected: &[&str]) {
        let errors = input::value_at::<T>(&body, "").err().unwrap_or_default();
        let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
        assert_eq!(named, expected, "{body}");
    }

    #[test]
    fn bodies() {
        check::<EmailChange>(json!({"email": "ada@example.com"}), &[]);
        check::<EmailChange>(json!({}), &["email"]);
        check::<EmailChange>(json!({"email": "ada"}), &["email"]);
        check::<EmailChange>(json!({"email": "ada@example.com", "x": 1}), &["x"]);
        check::<EmailConfirmation>(json!({"token": "tpe_x"}), &[]);
        check::<EmailConfirmation>(json!({}), &["token"]);
        check::<EmailConfirmation>(json!({"token": ""}), &["token"]);
        check::<EmailConfirmation>(json!({"token": "t".repeat(201)}), &["token"]);
        check::<EmailConfirmation>(json!({"token": 1}), &["token"]);
        check::<EmailUndoing>(json!({"token": "tpe_x"}), &[]);
        check::<EmailUndoing>(json!({}), &["token"]);
        check::<EmailUndoing>(json!({"token": ""}), &["token"]);
        check::<EmailUndoing>(json!({"token": "tpe_x", "email": "x"}), &["email"]);
    }
}
