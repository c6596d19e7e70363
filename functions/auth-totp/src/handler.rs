//! An enrolment draws a secret. Sign-in asks for nothing until a first code has shown
//! that an authenticator has the secret. The secret and the recovery codes are shown
//! once. Only a person turns this on and off, and never an API key.

use shared::auth::lockout::Wrong;
use shared::auth::second_factor::{Code, Enrolment, Spent};
use shared::auth::secrets;
use shared::auth::totp::{self, RecoveryCode};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::GuessId;

use crate::operations::{RecoveryCodes, TotpConfirmation, TotpEnrolled};
use crate::queries;

/// Whose code it is, as authenticators show it.
const ISSUER: &str = "Turnpike";

fn wrong_code() -> Problem {
    Problem::invalid_field("code", "wrong", "is not what the authenticator shows now")
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let state = queries::state(context, token.digest).await?;
    Reply::json(200, &state)
}

pub async fn enrol(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let master = secrets::master_secret(context).await?;
    let enrolment = Enrolment(context.random()?);
    let user = queries::enrol(context, token.digest, enrolment).await?;
    let secret = totp::derive_secret(&master, user.user_id, &enrolment.0);
    Reply::json(
        201,
        &TotpEnrolled {
            secret: totp::secret_text(&secret),
            uri: totp::enrolment_uri(ISSUER, user.email.as_str(), &secret),
        },
    )
}

pub async fn disable(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let disabled = queries::disable(context, token.digest).await?;
    Reply::json(200, &disabled)
}

pub async fn confirm(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (confirmation, _) = request.json::<TotpConfirmation>().await?;
    let code = Code::OneTime(confirmation.code.into());
    let guess_id = GuessId::new(context.now_millis(), &context.random()?);
    let address = request.client_address(context).await?;
    let (guess, pending) =
        queries::begin_confirmation(context, token.digest, guess_id, &address).await?;
    let master = secrets::master_secret(context).await?;
    let unix_secs = context.now_millis() / 1_000;
    let proof = code.check(&master, pending.user_id, pending.enrolment, unix_secs);
    let Some(Spent::Step(step)) = proof.map(|proof| proof.spent) else {
        guess.fail(context, Wrong::SecondFactor).await?;
        return Err(wrong_code());
    };
    let recovery_codes = RecoveryCode::mint(&context.random()?);
    let digests = recovery_codes.map(|code| code.digest(pending.user_id));
    queries::confirm(context, token.digest, pending.enrolment, step, &digests).await?;
    Reply::json(200, &RecoveryCodes { recovery_codes })
}

pub async fn replace_recovery_codes(
    context: &Context,
    request: &Request,
) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let recovery_codes = RecoveryCode::mint(&context.random()?);
    let digests = recovery_codes.map(|code| code.digest(token.owner));
    queries::replace_recovery_codes(context, token.digest, &digests).await?;
    Reply::json(200, &RecoveryCodes { recovery_codes })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
            let errors = input::value_at::<TotpConfirmation>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
