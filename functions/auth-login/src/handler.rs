//! Two statements where other routes have one: the hash must be read before it
//! can be verified, and the outcome, a session or a failure, is recorded only
//! after. An unknown email costs a verification too, against a hash that nothing
//! matches, and it is counted like any other. The first statement takes the right to
//! hash and counts the guess. Whichever is the second gives the right back, and the one
//! that opens the session takes the count back.

use shared::auth::device::{self, DEVICE_COOKIE, DEVICE_TTL_SECS, Device};
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout::{Guess, Wrong};
use shared::auth::password;
use shared::auth::second_factor::{Code, Proof};
use shared::auth::secrets;
use shared::auth::session::{Carrier, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::{DeviceId, OrganizationId, SessionId};

use crate::operations::{
    Login, invalid_credentials, invalid_second_factor, second_factor_required,
};
use crate::queries::{self, User};

/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 200;

/// How often a login may find that its user has left the organization meanwhile.
const MAX_MOVES: u32 = 3;

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
    let address = request.client_address(context).await?;
    let shown = device::shown(context, request).await?;
    let lease = HashLease::draw(context, &address).await?;
    let (guess, user) = queries::begin(context, &input.email, shown.as_ref(), lease).await?;
    let pepper = secrets::password_pepper(context).await?;
    let hash = user
        .as_ref()
        .map_or(password::NOBODY, |user| user.password_hash.as_str());
    let matches = password::verify(&input.password, hash, &pepper);
    let Some(user) = user.filter(|_| matches) else {
        guess.fail(context, Wrong::Password).await?;
        return Err(invalid_credentials());
    };
    let proof = match check_code(context, &user, code.as_ref()).await? {
        SecondFactor::NotNeeded => None,
        SecondFactor::Right(proof) => Some(proof),
        SecondFactor::Missing => {
            guess.withdraw(context).await?;
            return Err(second_factor_required());
        }
        SecondFactor::Wrong => {
            guess.fail(context, Wrong::SecondFactor).await?;
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
    let user_agent = request
        .header("user-agent")
        .ok()
        .flatten()
        .unwrap_or_default();
    let client = queries::Client {
        user_agent: user_agent.chars().take(MAX_USER_AGENT_CHARS).collect(),
        address: address.to_string(),
    };
    let login = queries::Login {
        user: &user,
        new_hash,
        proof,
        client,
    };
    // Read beforehand, because what is committed is answered.
    let master = secrets::master_secret(context).await?;
    let Some((pair, session, device)) = open_session(context, &login, &guess).await? else {
        guess.fail(context, Wrong::SecondFactor).await?;
        return Err(invalid_second_factor());
    };
    let carrier = match input.cookie {
        Some(true) => Carrier::Cookie,
        Some(false) | None => Carrier::Bearer,
    };
    let reply = pair.reply(session, carrier)?;
    Ok(reply.with_cookie(DEVICE_COOKIE, &device.sealed(&master), DEVICE_TTL_SECS))
}

/// Opens a session in the user's organization, which is in its tokens. The device is known
/// from then on. `None` when the code was used before.
async fn open_session(
    context: &Context,
    login: &queries::Login<'_>,
    guess: &Guess,
) -> Result<Option<(TokenPair, Session, Device)>, Problem> {
    let device_id = DeviceId::new(context.now_millis(), &context.random()?);
    let mut organization_id = login.user.organization_id;
    for _ in 0..MAX_MOVES {
        let organization = organization_id.unwrap_or(OrganizationId::NONE);
        let (access, refresh) = (context.random()?, context.random()?);
        let pair = TokenPair::mint(organization, login.user.id, &access, &refresh);
        let random = context.random()?;
        let session_id = SessionId::owned(organization, context.now_millis(), &random);
        let opened = queries::open_session(context, login, session_id, &pair, guess).await?;
        if !opened.is_elsewhere {
            let known_since = opened.session.zip(opened.device_issued_micros);
            return Ok(known_since.map(|(session, issued_micros)| {
                let device = Device {
                    user: login.user.id,
                    id: device_id,
                    issued_micros,
                };
                (pair, session, device)
            }));
        }
        organization_id = opened.organization_id;
    }
    Err(Problem::unavailable("Postgres"))
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
