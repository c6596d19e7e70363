//! Two statements where other routes have one: the hash must be read before it
//! can be verified, and the session is opened only after. An unknown email
//! costs a verification too, against a hash that nothing matches.

use serde::Serialize;
use shared::context::Context;
use shared::email::EmailAddress;
use shared::fields::{self, Fields};
use shared::http::{Reply, Request};
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::password::{self, Password};
use shared::problem::Problem;
use shared::token::{self, TokenKind};

use crate::queries;

/// How long an access token lives: one hour. A session ends sooner by logout.
const ACCESS_TOKEN_TTL_SECS: i32 = 3_600;

#[derive(Debug)]
struct Input {
    email: EmailAddress,
    password: Password,
}

#[derive(Serialize)]
struct Output {
    access_token: String,
    token_type: &'static str,
    expires_in: i32,
    expires_at: String,
    user_id: UserId,
    organization_id: OrganizationId,
    session_id: SessionId,
}

fn refused() -> Problem {
    Problem::new(
        401,
        "invalid_credentials",
        "The email or password is wrong",
        "No user has this email and password.",
    )
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let email = fields.required("email", fields::email);
    // Shorter than any password can be is a wrong password, not a bad request;
    // longer than any can be would be work for nothing.
    let password = fields.required("password", |value| {
        let text = fields::text(value, 1..=password::MAX_PRESENTED_CHARS)?;
        Ok(Password::presented(&text))
    });
    fields.finish(|| {
        Some(Input {
            email: email?,
            password: password?,
        })
    })
}

pub async fn login(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;

    let user = queries::find_user(context, &input.email).await?;
    let hash = user
        .as_ref()
        .map_or(password::NOBODY, |user| user.password_hash.as_str());
    let matches = password::verify(&input.password, hash, &[]);
    let user = user.filter(|_| matches).ok_or_else(refused)?;

    let access_token = token::mint(TokenKind::Access, user.id, &context.random()?);
    let session_id = SessionId::new(context.now_millis(), &context.random()?);
    let digest = token::digest(&access_token);
    let session = queries::open_session(context, &user, session_id, digest, ACCESS_TOKEN_TTL_SECS)
        .await?
        .ok_or_else(refused)?;
    Reply::json(
        200,
        &Output {
            access_token,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_TTL_SECS,
            expires_at: session.expires_at,
            user_id: user.id,
            organization_id: session.organization_id,
            session_id,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"email": "Ada@Example.com", "password": "x"}), vec![]),
            (
                json!({}),
                vec![("email", "required"), ("password", "required")],
            ),
            (
                json!({"email": "ada", "password": ""}),
                vec![("email", "invalid_email"), ("password", "wrong_length")],
            ),
            (
                json!({"email": "a@b.example", "password": "x", "otp": "1"}),
                vec![("otp", "unknown")],
            ),
            (
                json!({"email": "a@b.example", "password": "p".repeat(513)}),
                vec![("password", "wrong_length")],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
