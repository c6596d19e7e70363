//! An enrolment draws a secret, and nothing is asked for until a first code has
//! shown that an authenticator has it. The secret and the recovery codes are
//! shown once. A person turns this on and off, and never an API key.

use serde::{Deserialize, Serialize};
use shared::auth::lockout;
use shared::auth::second_factor::{Code, Enrolment, MAX_CODE_CHARS, Spent};
use shared::auth::secrets;
use shared::auth::totp::{self, RECOVERY_CODES, RecoveryCode};
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::token::PresentedToken;

use crate::queries;

/// Whose code it is, as authenticators show it.
const ISSUER: &str = "Turnpike";

const COLLECTION: &str = "/api/v1/auth/totp";

/// Whether the second factor is on.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    enabled: bool,
    recovery_codes_left: u32,
}

#[derive(Serialize)]
struct Enrolled {
    secret: String,
    uri: String,
}

#[derive(Serialize)]
struct Disabled {
    status: &'static str,
}

#[derive(Serialize)]
struct RecoveryCodes {
    recovery_codes: [String; RECOVERY_CODES],
}

/// What the path names.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Factor,
    Confirmation,
    RecoveryCodes,
}

pub fn totp_enabled() -> Problem {
    Problem::new(
        409,
        "totp_enabled",
        "The second factor is on already",
        "Turn it off first, to enrol another authenticator.",
    )
}

pub fn totp_not_enrolled() -> Problem {
    Problem::new(
        409,
        "totp_not_enrolled",
        "There is no enrolment to confirm",
        "Begin one with POST /api/v1/auth/totp, and confirm it within an hour.",
    )
}

pub fn totp_not_enabled() -> Problem {
    Problem::new(
        409,
        "totp_not_enabled",
        "The second factor is off",
        "Recovery codes stand in for a second factor, and there is none.",
    )
}

fn wrong_code() -> Problem {
    Problem::invalid_field("code", "wrong", "is not what the authenticator shows now")
}

fn target(path: &str) -> Target {
    match path.strip_prefix(COLLECTION).unwrap_or_default() {
        "/confirm" => Target::Confirmation,
        "/recovery-codes" => Target::RecoveryCodes,
        _ => Target::Factor,
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Factor => "GET, POST, DELETE",
        Target::Confirmation | Target::RecoveryCodes => "POST",
    }
}

pub async fn totp(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    match (target(request.path()), request.method()) {
        (Target::Factor, Method::Get) => {
            let state = queries::state(context, token.digest).await?;
            Reply::json(200, &state)
        }
        (Target::Factor, Method::Delete) => {
            queries::disable(context, token.digest).await?;
            Reply::json(200, &Disabled { status: "disabled" })
        }
        (Target::Factor, _) => enrol(context, token).await,
        (Target::Confirmation, _) => confirm(context, request, token).await,
        (Target::RecoveryCodes, _) => replace_recovery_codes(context, token).await,
    }
}

async fn enrol(context: &Context, token: PresentedToken) -> Result<Reply, Problem> {
    let master = secrets::master_secret(context).await?;
    let enrolment = Enrolment(context.random()?);
    let user = queries::enrol(context, token.digest, enrolment).await?;
    let secret = totp::derive_secret(&master, user.id, &enrolment.0);
    Reply::json(
        201,
        &Enrolled {
            secret: totp::secret_text(&secret),
            uri: totp::enrolment_uri(ISSUER, user.email.as_str(), &secret),
        },
    )
}

fn read_confirm(mut fields: Fields) -> Result<String, Problem> {
    let code = fields.required("code", |value| fields::text(value, 1..=MAX_CODE_CHARS));
    fields.finish(|| code)
}

async fn confirm(
    context: &Context,
    request: &Request,
    token: PresentedToken,
) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let code = Code::OneTime(read_confirm(fields)?);
    let address = request.client_address();
    let (user, enrolment) = queries::begin_confirmation(context, token.digest, address).await?;
    let master = secrets::master_secret(context).await?;
    let unix_secs = context.now_millis() / 1_000;
    let proof = code.check(&master, user.id, enrolment, unix_secs);
    let Some(Spent::Step(step)) = proof.map(|proof| proof.spent) else {
        lockout::record_failure(context, &user.email, address, None).await?;
        return Err(wrong_code());
    };
    let codes = RecoveryCode::mint(&context.random()?);
    let digests = codes.map(|code| code.digest(user.id));
    queries::confirm(context, token.digest, enrolment, step, &digests).await?;
    Reply::json(200, &shown(&codes))
}

async fn replace_recovery_codes(
    context: &Context,
    token: PresentedToken,
) -> Result<Reply, Problem> {
    let codes = RecoveryCode::mint(&context.random()?);
    let digests = codes.map(|code| code.digest(token.owner));
    queries::replace_recovery_codes(context, token.digest, &digests).await?;
    Reply::json(200, &shown(&codes))
}

fn shown(codes: &[RecoveryCode; RECOVERY_CODES]) -> RecoveryCodes {
    RecoveryCodes {
        recovery_codes: codes.map(|code| code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"code": "123456"}), vec![]),
            (json!({}), vec![("code", "required")]),
            (json!({"code": 123_456}), vec![("code", "wrong_type")]),
            (json!({"code": ""}), vec![("code", "wrong_length")]),
            (
                json!({"code": "1".repeat(65)}),
                vec![("code", "wrong_length")],
            ),
            (
                json!({"code": "1", "recovery_code": "1"}),
                vec![("recovery_code", "unknown")],
            ),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read_confirm)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }

    #[test]
    fn paths() {
        let table = [
            ("", Target::Factor, "GET, POST, DELETE"),
            ("/confirm", Target::Confirmation, "POST"),
            ("/recovery-codes", Target::RecoveryCodes, "POST"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("{COLLECTION}{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }
}
