use serde::Deserialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::auth::second_factor::{self, Enrolment, Proof};
use shared::auth::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{SessionId, UserId};
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
    pub session_id: SessionId,
    pub pair: &'a TokenPair,
    pub proof: Option<Proof>,
    pub client: Client,
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

/// Takes the lease and finds the user, if there is one, unless the login is locked out.
pub async fn begin(
    context: &Context,
    email: &EmailAddress,
    address: &str,
    lease: &HashLease,
) -> Result<Option<User>, Problem> {
    let [lease_id, host_id, max] = lease.parameters();
    let parameters = [
        email.as_str().to_owned().into(),
        address.to_owned().into(),
        lease_id,
        host_id,
        max,
    ];
    let sql = "SELECT auth_login_begin($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, lockout::refuse).await
}

/// Opens a session, and gives the lease back. `None` when the code was used before.
pub async fn open_session(
    context: &Context,
    login: Login<'_>,
    lease: &HashLease,
) -> Result<Option<Session>, Problem> {
    let [enrolment, step, recovery_digest] = second_factor::parameters(login.proof.as_ref());
    let parameters = [
        login.user.id.as_uuid().into(),
        login.user.password_hash.clone().into(),
        login.new_hash.into(),
        login.session_id.as_uuid().into(),
        login.pair.access_digest().0.to_vec().into(),
        login.pair.refresh_digest().0.to_vec().into(),
        ACCESS_TTL_SECS.into(),
        REFRESH_TTL_SECS.into(),
        login.client.user_agent.into(),
        login.client.address.into(),
        enrolment,
        step,
        recovery_digest,
        lease.id(),
    ];
    let sql =
        "SELECT auth_login($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)::text";
    db::call(context, sql, &parameters, refuse).await
}
