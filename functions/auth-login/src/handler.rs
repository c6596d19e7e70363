//! Two statements where other routes have one: the hash must be read before it
//! can be verified, and the outcome, a session or a failure, is recorded only
//! after. An unknown email costs a verification too, against a hash that nothing
//! matches, and its failure is counted like any other.

use shared::context::Context;
use shared::email::EmailAddress;
use shared::fields::{self, Fields};
use shared::http::{Reply, Request};
use shared::ids::SessionId;
use shared::lockout;
use shared::password::{self, Password};
use shared::problem::Problem;
use shared::secrets;
use shared::session::{Carrier, TokenPair};

use crate::queries::{self, Begin};

/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 200;

#[derive(Debug, PartialEq, Eq)]
struct Input {
    email: EmailAddress,
    password: String,
    carrier: Carrier,
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
    // Shorter than any password can be is a wrong password, not a bad request.
    let password = fields.required("password", |value| {
        fields::text(value, 1..=password::MAX_PRESENTED_CHARS)
    });
    let is_cookie = fields.optional("cookie", fields::boolean);
    fields.finish(|| {
        let carrier = if is_cookie?.unwrap_or(false) {
            Carrier::Cookie
        } else {
            Carrier::Bearer
        };
        Some(Input {
            email: email?,
            password: password?,
            carrier,
        })
    })
}

pub async fn login(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let address = request.client_address();
    let user = match queries::begin(context, &input.email, address).await? {
        Begin::Locked { retry_after_secs } => return Err(lockout::locked(retry_after_secs)),
        Begin::Proceed(user) => user,
    };
    let pepper = secrets::password_pepper(context).await?;
    let presented = Password::presented(&input.password);
    let hash = user
        .as_ref()
        .map_or(password::NOBODY, |user| user.password_hash.as_str());
    let matches = password::verify(&presented, hash, &pepper);
    let Some(user) = user.filter(|_| matches) else {
        lockout::record_failure(context, &input.email, address).await?;
        return Err(refused());
    };

    let new_hash = if password::needs_rehash(&user.password_hash) {
        password::hash(&presented, &context.random()?, &pepper).map_err(|error| {
            context.log("error", &error.to_string());
            Problem::internal()
        })?
    } else {
        user.password_hash.clone()
    };
    let pair = TokenPair::mint(user.id, &context.random()?, &context.random()?);
    let session_id = SessionId::new(context.now_millis(), &context.random()?);
    let user_agent = request
        .header("user-agent")
        .ok()
        .flatten()
        .unwrap_or_default();
    let client = queries::Client {
        user_agent: user_agent.chars().take(MAX_USER_AGENT_CHARS).collect(),
        address: address.to_owned(),
    };
    let session = queries::open_session(context, &user, new_hash, session_id, &pair, client)
        .await?
        .ok_or_else(refused)?;
    pair.reply(&session, input.carrier)
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
                json!({"email": "a@b.example", "password": "x", "cookie": true}),
                vec![],
            ),
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
                json!({"email": "a@b.example", "password": "x", "cookie": "yes"}),
                vec![("cookie", "wrong_type")],
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
