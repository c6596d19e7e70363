//! Messages that are about to enter the outbox.

use serde::Deserialize;
use serde_json::Value;

use crate::auth::secrets;
use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::ids::{OrganizationId, OutboxMessageId, UserId};
use crate::mail::{self, Kind};
use crate::store::db::Parameter;
use crate::token::{self, TokenKind};

/// The id and the token of a message that a statement is about to write. The component
/// draws them, so that the statement is safe to send twice.
pub struct Draft {
    message_id: OutboxMessageId,
    token: String,
}

impl Draft {
    /// Draws a new message to a person about their own account, with a new token, neither of
    /// which belongs to an organization. The owner is not known yet, and a request
    /// for a forgotten password must not reveal whether there is one. So the owner
    /// inside the token is random too, and names nobody.
    ///
    /// # Errors
    /// Those of [`Context::random`].
    pub fn draw(context: &Context) -> Result<Self, Problem> {
        let nobody = UserId::new(context.now_millis(), &context.random()?);
        Ok(Self {
            message_id: message_to_person(context)?,
            token: token::mint(
                TokenKind::Email,
                OrganizationId::NONE,
                nobody,
                &context.random()?,
            ),
        })
    }

    /// The message's id, the token, and the digest under which the token is stored.
    pub fn parameters(&self) -> [Parameter; 3] {
        [
            self.message_id.as_uuid().into(),
            self.token.clone().into(),
            token::digest(&self.token).0.to_vec().into(),
        ]
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// The id of a new message to a person about their own account.
///
/// # Errors
/// Those of [`Context::random`].
pub fn message_to_person(context: &Context) -> Result<OutboxMessageId, Problem> {
    let (now_millis, random) = (context.now_millis(), context.random()?);
    Ok(OutboxMessageId::owned(
        OrganizationId::NONE,
        now_millis,
        &random,
    ))
}

/// A message that was written, as the database reports it.
#[derive(Debug, Deserialize)]
pub struct Written {
    kind: String,
    /// Empty if the message has no recipient.
    to: String,
}

/// Logs a message on a developer's machine, where no mail is sent. Elsewhere the
/// variable `development` is not "true", and this does nothing.
///
/// # Errors
/// A 500 when a variable is missing, which spin.toml declares.
pub async fn announce(
    context: &Context,
    written: Option<&Written>,
    token: Option<&str>,
) -> Result<(), Problem> {
    let Some(written) = written.filter(|written| !written.to.is_empty()) else {
        return Ok(());
    };
    if !is_development(context).await? {
        return Ok(());
    }
    let public_url = secrets::read(context, "public_url").await?;
    if let Some(kind) = Kind::parse(&written.kind) {
        let message = mail::render(kind, &public_url, token, &Value::Null);
        context.log(
            "info",
            &format!(
                "mail to {}: {}\n{}",
                written.to, message.subject, message.text
            ),
        );
    }
    Ok(())
}

/// Whether this is a developer's machine.
///
/// # Errors
/// A 500 when the variable `development` is missing, which spin.toml declares.
pub async fn is_development(context: &Context) -> Result<bool, Problem> {
    Ok(secrets::read(context, "development").await? == "true")
}
