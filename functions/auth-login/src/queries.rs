use serde::Deserialize;
use shared::auth::device::{self, Device};
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout::{self, Guess};
use shared::auth::second_factor::{self, Enrolment, Proof};
use shared::auth::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, SessionId, UserId};
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;

use crate::operations;

/// Who an email belongs to, and what their password and code must match.
#[derive(Deserialize)]
pub struct User {
    pub id: UserId,
    pub password_hash: String,
    /// Absent when they have no second factor.
    pub enrolment: Option<Enrolment>,
    /// Where they sign in; absent when they belong to no organization.
    pub organization_id: Option<OrganizationId>,
}

/// What was found out before the password is verified.
#[derive(Deserialize)]
struct Begun {
    /// Against what the guess counts.
    subject: String,
    /// Absent when nobody has the email.
    user: Option<User>,
}

/// Where the login comes from, for the list of sessions.
pub struct Client {
    pub user_agent: String,
    pub address: String,
}

/// A login whose password was right.
pub struct Login<'a> {
    pub user: &'a User,
    pub new_hash: String,
    pub proof: Option<Proof>,
    pub client: Client,
}

/// What became of a login.
#[derive(Deserialize)]
pub struct Opened {
    /// Absent when the code was used before.
    pub session: Option<Session>,
    /// From when on the device is known, in microseconds since 1970. There is one with a
    /// session.
    pub device_issued_micros: Option<i64>,
    /// Whether the tokens lead to an organization where the user does not sign in any more.
    pub is_elsewhere: bool,
    /// Where they sign in then.
    pub organization_id: Option<OrganizationId>,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        // The user changed since their hash was read.
        "invalid_credentials" => Some(operations::invalid_credentials()),
        // It was enabled since then.
        "second_factor_required" => Some(operations::second_factor_required()),
        _ => None,
    }
}

/// Takes the lease, counts the guess, and finds the user, if there is one, unless whoever
/// asks has to wait.
pub async fn begin(
    context: &Context,
    email: &EmailAddress,
    shown: Option<&Device>,
    lease: HashLease,
) -> Result<(Guess, Option<User>), Problem> {
    let [lease_id, host_id, max, address] = lease.parameters();
    let [device_user, device_id, device_issued] = device::parameters(shown);
    let parameters = [
        email.as_str().to_owned().into(),
        lease_id,
        host_id,
        max,
        address,
        device_user,
        device_id,
        device_issued,
    ];
    let sql = "SELECT auth_login_begin($1, $2, $3, $4, $5, $6, $7, $8)::text";
    let begun: Begun = db::call(context, sql, &parameters, lockout::refuse).await?;
    Ok((Guess::new(&lease, begun.subject).at(email), begun.user))
}

/// Opens a session with the id and the tokens, takes the guess's count back, and gives the
/// lease back.
pub async fn open_session(
    context: &Context,
    login: &Login<'_>,
    session_id: SessionId,
    pair: &TokenPair,
    guess: &Guess,
) -> Result<Opened, Problem> {
    let [enrolment, step, recovery_digest] = second_factor::parameters(login.proof.as_ref());
    let parameters = [
        login.user.id.as_uuid().into(),
        login.user.password_hash.clone().into(),
        login.new_hash.clone().into(),
        session_id.as_uuid().into(),
        pair.access_digest().0.to_vec().into(),
        pair.refresh_digest().0.to_vec().into(),
        ACCESS_TTL_SECS.into(),
        REFRESH_TTL_SECS.into(),
        login.client.user_agent.clone().into(),
        login.client.address.clone().into(),
        enrolment,
        step,
        recovery_digest,
        guess.lease_id(),
        guess.subject(),
    ];
    let sql =
        "SELECT auth_login($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)::text";
    db::call(context, sql, &parameters, refuse).await
}
