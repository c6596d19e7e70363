//! An email becomes a user's when they open the link that was sent to it, and not
//! before. Asking for one that somebody has is answered alike.

use serde::Serialize;
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OutboxMessageId;
use shared::mail;
use shared::mail::outbox::{self, Draft};
use shared::store::cache;
use shared::store::cache_key::Scope;
use shared::text::email::EmailAddress;
use shared::token::{self, TokenKind};

use crate::queries::{self, Confirmed, Verification};

const EMAIL: &str = "/api/v1/auth/email";

/// Longest token that is looked at, in characters. Ours have 74.
const MAX_TOKEN_CHARS: usize = 200;

#[derive(Serialize)]
struct Output {
    status: &'static str,
}

/// What the path names.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Email,
    Verification,
    Confirm,
}

fn target(path: &str) -> Target {
    match path.strip_prefix(EMAIL).unwrap_or_default() {
        "/verification" => Target::Verification,
        "/confirm" => Target::Confirm,
        _ => Target::Email,
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Email => "PUT",
        Target::Verification | Target::Confirm => "POST",
    }
}

pub fn unchanged() -> Problem {
    Problem::invalid_field("email", "unchanged", "is your email already")
}

fn read_change(mut fields: Fields) -> Result<EmailAddress, Problem> {
    let email = fields.required("email", fields::email);
    fields.finish(|| email)
}

fn read_confirm(mut fields: Fields) -> Result<String, Problem> {
    let token = fields.required("token", |v| fields::text(v, 1..=MAX_TOKEN_CHARS));
    fields.finish(|| token)
}

pub async fn email(context: &Context, request: &Request) -> Result<Reply, Problem> {
    match target(request.path()) {
        Target::Email => change(context, request).await,
        Target::Verification => verify(context, request).await,
        Target::Confirm => confirm(context, request).await,
    }
}

async fn change(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields().await?;
    let email = read_change(fields)?;
    let draft = Draft::draw(context)?;
    let address = request.client_address();
    let mail = queries::change(context, token.digest, &email, address, &draft).await?;
    outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
    Reply::json(202, &Output { status: "accepted" })
}

async fn verify(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let draft = Draft::draw(context)?;
    let address = request.client_address();
    match queries::verify(context, token.digest, address, &draft).await? {
        Verification::Accepted(mail) => {
            outbox::announce(context, mail.as_ref(), Some(draft.token())).await?;
            Reply::json(202, &Output { status: "accepted" })
        }
        Verification::Verified => Reply::json(200, &Output { status: "verified" }),
    }
}

async fn confirm(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let text = read_confirm(fields)?;
    let token = token::parse(TokenKind::Email, &text).ok_or_else(mail::invalid_token)?;
    let user_id = queries::find_holder(context, token.digest).await?;
    let scopes = Scope::all_of_user(user_id);
    let message_id = OutboxMessageId::new(context.now_millis(), &context.random()?);
    let write = queries::confirm(context, token.digest, message_id);
    let status = match cache::during_write(context, &scopes, write).await? {
        Confirmed::Verified => "verified",
        Confirmed::Changed(mail) => {
            outbox::announce(context, mail.as_ref(), None).await?;
            "changed"
        }
    };
    Reply::json(200, &Output { status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check<T>(body: Value, read: fn(Fields) -> Result<T, Problem>, expected: &[&str]) {
        let errors = Fields::new(body.clone())
            .and_then(read)
            .err()
            .map(|p| p.errors)
            .unwrap_or_default();
        let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
        assert_eq!(named, expected, "{body}");
    }

    #[test]
    fn bodies() {
        check(json!({"email": "ada@example.com"}), read_change, &[]);
        check(json!({}), read_change, &["email"]);
        check(json!({"email": "ada"}), read_change, &["email"]);
        check(
            json!({"email": "ada@example.com", "x": 1}),
            read_change,
            &["x"],
        );
        check(json!({"token": "tpe_x"}), read_confirm, &[]);
        check(json!({}), read_confirm, &["token"]);
        check(json!({"token": ""}), read_confirm, &["token"]);
        check(json!({"token": "t".repeat(201)}), read_confirm, &["token"]);
        check(json!({"token": 1}), read_confirm, &["token"]);
    }

    #[test]
    fn paths() {
        let table = [
            ("", Target::Email, "PUT"),
            ("/verification", Target::Verification, "POST"),
            ("/confirm", Target::Confirm, "POST"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{EMAIL}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }
}
