//! A user without a second factor gives the password. A user with one gives a
//! code, with or without the password: a session that was opened before the
//! second factor was on gets nowhere with the password alone. Whatever is given
//! must be right.

use serde::Serialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::auth::password::{self, Password};
use shared::auth::second_factor::{Code, Proof};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::fields::{self, Fields};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::queries::{self, Outcome, User};

#[derive(Serialize)]
struct Output {
    status: &'static str,
    valid_for_secs: u32,
}

#[derive(Debug, PartialEq, Eq)]
struct Input {
    password: Option<String>,
    code: Option<Code>,
}

fn wrong_password() -> Problem {
    Problem::invalid_field("password", "wrong", "is not your password")
}

fn wrong_code(code: &Code) -> Problem {
    Problem::invalid_field(
        code.field(),
        "wrong",
        "is wrong, too old, or was used before",
    )
}

fn code_required() -> Problem {
    Problem::invalid_field(
        "totp_code",
        "required",
        "is required of a user with a second factor, or recovery_code in its place",
    )
}

fn password_required() -> Problem {
    Problem::invalid_field("password", "required", "is required")
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let password = fields.optional("password", |value| {
        fields::text(value, 1..=password::MAX_PRESENTED_CHARS)
    });
    let code = Code::read(&mut fields);
    let input = fields.finish(|| {
        Some(Input {
            password: password?,
            code: code?,
        })
    })?;
    if input.password.is_none() && input.code.is_none() {
        return Err(password_required());
    }
    Ok(input)
}

/// What is not enough, whether or not it is right: the one is told what the
/// other would be told, and nothing is checked.
fn insufficient(user: &User, input: &Input) -> Option<Problem> {
    match user.enrolment {
        Some(_) if input.code.is_none() => Some(code_required()),
        None if input.password.is_none() => Some(password_required()),
        _ => None,
    }
}

pub async fn reauthenticate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let address = request.client_address();
    let lease = HashLease::draw(context).await?;
    let user = queries::begin(context, token.digest, address, &lease).await?;
    if let Some(problem) = insufficient(&user, &input) {
        lease.release(context).await?;
        return Err(problem);
    }
    let verified_hash = match &input.password {
        None => None,
        Some(text) => {
            let pepper = secrets::password_pepper(context).await?;
            let hash = &user.password_hash;
            if !password::verify(&Password::presented(text), hash, &pepper) {
                lockout::record_failure(context, &user.email, address, Some(&lease)).await?;
                return Err(wrong_password());
            }
            Some(hash.as_str())
        }
    };
    let proof = match &input.code {
        None => None,
        Some(code) => match check_code(context, &user, code).await? {
            Checked::NotNeeded => None,
            Checked::Right(proof) => Some(proof),
            Checked::Wrong => {
                lockout::record_failure(context, &user.email, address, Some(&lease)).await?;
                return Err(wrong_code(code));
            }
        },
    };
    match queries::confirm(context, token.digest, verified_hash, proof, &lease).await? {
        Outcome::Confirmed { valid_for_secs } => Reply::json(
            200,
            &Output {
                status: "confirmed",
                valid_for_secs,
            },
        ),
        Outcome::WrongPassword => Err(wrong_password()),
        Outcome::PasswordRequired => Err(password_required()),
        Outcome::SecondFactorRequired => Err(code_required()),
        // The statement that refused it gave the lease back.
        Outcome::SecondFactorInvalid => {
            lockout::record_failure(context, &user.email, address, None).await?;
            Err(input.code.as_ref().map_or_else(code_required, wrong_code))
        }
    }
}

/// What is known of a code before it is spent.
enum Checked {
    NotNeeded,
    Wrong,
    Right(Proof),
}

async fn check_code(context: &Context, user: &User, code: &Code) -> Result<Checked, Problem> {
    let Some(enrolment) = user.enrolment else {
        return Ok(Checked::NotNeeded);
    };
    let master = secrets::master_secret(context).await?;
    let unix_secs = context.now_millis() / 1_000;
    let proof = code.check(&master, user.id, enrolment, unix_secs);
    Ok(proof.map_or(Checked::Wrong, Checked::Right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let table = [
            (json!({"password": "x"}), vec![]),
            (json!({"totp_code": "123456"}), vec![]),
            (json!({"recovery_code": "ABCDE-12345"}), vec![]),
            (json!({"password": "x", "totp_code": "123456"}), vec![]),
            (json!({}), vec![("password", "required")]),
            (json!({"password": null}), vec![("password", "required")]),
            (json!({"password": ""}), vec![("password", "wrong_length")]),
            (
                json!({"password": "p".repeat(513)}),
                vec![("password", "wrong_length")],
            ),
            (
                json!({"totp_code": "1", "recovery_code": "x"}),
                vec![("recovery_code", "conflict")],
            ),
            (
                json!({"password": "x", "code": "1"}),
                vec![("code", "unknown")],
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
