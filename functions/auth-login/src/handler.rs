//! Two statements where other routes have one: the hash must be read before it
//! can be verified, and the outcome, a session or a failure, is recorded only
//! after. An unknown email costs a verification too, against a hash that nothing
//! matches, and its failure is counted like any other. The first statement takes
//! the right to hash, and whichever is the second gives it back.

use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::auth::password;
use shared::auth::second_factor::{Code, Proof};
use shared::auth::secrets;
use shared::auth::session::{Carrier, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::SessionId;

use crate::operations::{
    Login, invalid_credentials, invalid_second_factor, second_factor_required,
};
use crate::queries::{self, User};

/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 200;

/// What is known of the second factor before it is spent.
enum SecondFactor {
    NotNeeded,
    Missing,
    Wrong,
    Right(Proof),
}

pub async fn login(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let (input, _) = request.json::<Login>().await?;
    let code = Code::given(input.totp_code, input.recovery_code);
    let address = request.client_address();
    let lease = HashLease::draw(context).await?;
    let user = queries::begin(context, &input.email, address, &lease).await?;
    let pepper = secrets::password_pepper(context).await?;
    let hash = user
        .as_ref()
        .map_or(password::NOBODY, |user| user.password_hash.as_str());
    let matches = password::verify(&input.password, hash, &pepper);
    let Some(user) = user.filter(|_| matches) else {
        lockout::record_failure(context, &input.email, address, Some(&lease)).await?;
        return Err(invalid_credentials());
    };
    let proof = match check_code(context, &user, code.as_ref()).await? {
        SecondFactor::NotNeeded => None,
        SecondFactor::Right(proof) => Some(proof),
        SecondFactor::Missing => {
            lease.release(context).await?;
            return Err(second_factor_required());
        }
        SecondFactor::Wrong => {
            lockout::record_failure(context, &input.email, address, Some(&lease)).await?;
            return Err(invalid_second_factor());
        }
    };

    let new_hash = if password::needs_rehash(&user.password_hash) {
        password::hash(&input.password, &context.random()?, &pepper).map_err(|error| {
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
    let login = queries::Login {
        user: &user,
        new_hash,
        session_id,
        pair: &pair,
        proof,
        client,
    };
    let Some(session) = queries::open_session(context, login, &lease).await? else {
        // The statement gave the lease back.
        lockout::record_failure(context, &input.email, address, None).await?;
        return Err(invalid_second_factor());
    };
    let carrier = match input.cookie {
        Some(true) => Carrier::Cookie,
        Some(false) | None => Carrier::Bearer,
    };
    pair.reply(session, carrier)
}

/// Checks the code of a user who has a second factor; whatever anybody else sent
/// is not looked at.
async fn check_code(
    context: &Context,
    user: &User,
    code: Option<&Code>,
) -> Result<SecondFactor, Problem> {
    let Some(enrolment) = user.enrolment else {
        return Ok(SecondFactor::NotNeeded);
    };
    let Some(code) = code else {
        return Ok(SecondFactor::Missing);
    };
    let master = secrets::master_secret(context).await?;
    let unix_secs = context.now_millis() / 1_000;
    let proof = code.check(&master, user.id, enrolment, unix_secs);
    Ok(proof.map_or(SecondFactor::Wrong, SecondFactor::Right))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::http::input;

    use super::*;

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
                json!({"email": "a@b.example", "password": "x", "totp_code": "123456"}),
                vec![],
            ),
            (
                json!({"email": "a@b.example", "password": "x", "totp_code": "1", "recovery_code": "x"}),
                vec![("recovery_code", "conflict")],
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
            let errors = input::value_at::<Login>(&body, "")
                .err()
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| (&*e.field, e.code)).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
