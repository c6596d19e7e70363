//! A user without a second factor gives the password. A user with one gives a code, with
//! or without the password: a session that was opened before the second factor was on
//! gets nowhere with the password alone. Whatever is given must be right.

use shared::auth::hash_lease::HashLease;
use shared::auth::lockout::Wrong;
use shared::auth::password;
use shared::auth::second_factor::{Code, Proof};
use shared::auth::secrets;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::operations::Reauthentication;
use crate::queries::{self, User};

fn wrong_code(code: &Code) -> Problem {
    Problem::invalid_field(
        code.field(),
        "wrong",
        "is wrong, too old, or was used before",
    )
}

/// What is missing, if what was given is not enough. Nothing is checked then, so that
/// the answer does not tell whether it is right.
fn insufficient(user: &User, has_password: bool, has_code: bool) -> Option<Problem> {
    match user.enrolment {
        Some(_) if !has_code => Some(queries::code_required()),
        None if !has_password => Some(queries::password_required()),
        _ => None,
    }
}

pub async fn reauthenticate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (given, _) = request.json::<Reauthentication>().await?;
    let password = given.password;
    let code = Code::given(given.totp_code, given.recovery_code);
    let address = request.client_address(context).await?;
    let lease = HashLease::draw(context, &address).await?;
    let (guess, user) = queries::begin(context, token.digest, lease).await?;
    if let Some(problem) = insufficient(&user, password.is_some(), code.is_some()) {
        guess.withdraw(context).await?;
        return Err(problem);
    }
    let verified_hash = match &password {
        None => None,
        Some(password) => {
            let pepper = secrets::password_pepper(context).await?;
            let hash = &user.password_hash;
            if !password::verify(password, hash, &pepper) {
                guess.fail(context, Wrong::Password).await?;
                return Err(queries::wrong_password());
            }
            Some(hash.as_str())
        }
    };
    let proof = match &code {
        None => None,
        Some(code) => match check_code(context, &user, code).await? {
            Checked::NotNeeded => None,
            Checked::Right(proof) => Some(proof),
            Checked::Wrong => {
                guess.fail(context, Wrong::SecondFactor).await?;
                return Err(wrong_code(code));
            }
        },
    };
    let confirmed = queries::confirm(context, token.digest, verified_hash, proof, &guess).await?;
    match confirmed {
        Some(confirmed) => Reply::json(200, &confirmed),
        None => {
            guess.fail(context, Wrong::SecondFactor).await?;
            Err(code
                .as_ref()
                .map_or_else(queries::code_required, wrong_code))
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
    let proof = code.check(&master, user.user_id, enrolment, unix_secs);
    Ok(proof.map_or(Checked::Wrong, Checked::Right))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<Reauthentication>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
