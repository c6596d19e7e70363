use serde::Deserialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::second_factor::{self, Enrolment, Proof};
use shared::auth::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{SessionId, UserId};
use shared::store::db;
use shared::text::email::EmailAddress;

/// Who an email belongs to, and what their password and code must match.
pub struct User {
    pub id: UserId,
    pub password_hash: String,
    /// Absent when they have no second factor.
    pub enrolment: Option<Enrolment>,
}

/// Whether the login may go on.
pub enum Begin {
    Locked {
        retry_after_secs: u32,
    },
    /// The host hashes as many passwords as it may.
    Busy,
    Proceed(Option<User>),
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

/// What came of it.
pub enum Opened {
    Session(Session),
    /// The user changed since their hash was read.
    Refused,
    SecondFactorRequired,
    SecondFactorInvalid,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Locked {
        retry_after_secs: u32,
    },
    Busy,
    Proceed {
        user_id: Option<UserId>,
        password_hash: Option<String>,
        enrolment: Option<Enrolment>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum OpenAnswer {
    Opened(Session),
    Refused,
    SecondFactorRequired,
    SecondFactorInvalid,
}

/// Takes the lease and reads the hash, unless the login is locked out.
pub async fn begin(
    context: &Context,
    email: &EmailAddress,
    address: &str,
    lease: &HashLease,
) -> Result<Begin, Problem> {
    let [lease_id, host_id, max] = lease.parameters();
    let parameters = [
        email.as_str().to_owned().into(),
        address.to_owned().into(),
        lease_id,
        host_id,
        max,
    ];
    let sql = "SELECT auth_login_begin($1, $2, $3, $4, $5)::text";
    Ok(match db::call(context, sql, &parameters).await? {
        BeginAnswer::Locked { retry_after_secs } => Begin::Locked { retry_after_secs },
        BeginAnswer::Busy => Begin::Busy,
        BeginAnswer::Proceed {
            user_id,
            password_hash,
            enrolment,
        } => Begin::Proceed(user_id.zip(password_hash).map(|(id, password_hash)| User {
            id,
            password_hash,
            enrolment,
        })),
    })
}

/// Opens a session, and gives the lease back.
pub async fn open_session(
    context: &Context,
    login: Login<'_>,
    lease: &HashLease,
) -> Result<Opened, Problem> {
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
    Ok(match db::call(context, sql, &parameters).await? {
        OpenAnswer::Opened(session) => Opened::Session(session),
        OpenAnswer::Refused => Opened::Refused,
        OpenAnswer::SecondFactorRequired => Opened::SecondFactorRequired,
        OpenAnswer::SecondFactorInvalid => Opened::SecondFactorInvalid,
    })
}
