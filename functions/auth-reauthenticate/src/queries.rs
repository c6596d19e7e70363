use serde::Deserialize;
use shared::auth::hash_lease::{self, HashLease};
use shared::auth::lockout;
use shared::auth::second_factor::{self, Enrolment, Proof};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::UserId;
use shared::store::db;
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

/// Who is to prove who they are, and what the proof must match.
pub struct User {
    pub id: UserId,
    pub email: EmailAddress,
    pub password_hash: String,
    /// Absent when they have no second factor.
    pub enrolment: Option<Enrolment>,
}

/// What came of a proof that was right when it was checked.
pub enum Outcome {
    Confirmed {
        valid_for_secs: u32,
    },
    /// The password changed since its hash was read.
    WrongPassword,
    /// The second factor was turned off meanwhile, and only a code was given.
    PasswordRequired,
    /// The second factor was turned on meanwhile.
    SecondFactorRequired,
    /// Used before, or no recovery code of the user's.
    SecondFactorInvalid,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Proceed {
        user_id: UserId,
        email: String,
        password_hash: String,
        enrolment: Option<Enrolment>,
    },
    Busy,
    Locked {
        retry_after_secs: u32,
    },
    SessionRequired,
    Unauthenticated,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Confirmed { valid_for_secs: u32 },
    WrongPassword,
    PasswordRequired,
    SecondFactorRequired,
    SecondFactorInvalid,
    SessionRequired,
    Unauthenticated,
}

/// Takes the lease and reads what the proof must match, unless guessing is
/// stopped.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    address: &str,
    lease: &HashLease,
) -> Result<User, Problem> {
    let [lease_id, host_id, max] = lease.parameters();
    let parameters = [
        digest.0.to_vec().into(),
        address.to_owned().into(),
        lease_id,
        host_id,
        max,
    ];
    let sql = "SELECT auth_reauthenticate_begin($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        BeginAnswer::Proceed {
            user_id,
            email,
            password_hash,
            enrolment,
        } => Ok(User {
            id: user_id,
            email: EmailAddress::parse(&email).map_err(|_| Problem::internal())?,
            password_hash,
            enrolment,
        }),
        BeginAnswer::Busy => Err(hash_lease::too_many_hashes()),
        BeginAnswer::Locked { retry_after_secs } => Err(lockout::locked(retry_after_secs)),
        BeginAnswer::SessionRequired => Err(Problem::session_required()),
        BeginAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}

/// Notes the proof in the session, spends the code, and gives the lease back.
pub async fn confirm(
    context: &Context,
    digest: TokenDigest,
    verified_hash: Option<&str>,
    proof: Option<Proof>,
    lease: &HashLease,
) -> Result<Outcome, Problem> {
    let [enrolment, step, recovery_digest] = second_factor::parameters(proof.as_ref());
    let parameters = [
        digest.0.to_vec().into(),
        verified_hash.map(str::to_owned).into(),
        enrolment,
        step,
        recovery_digest,
        lease.id(),
    ];
    let sql = "SELECT auth_reauthenticate($1, $2, $3, $4, $5, $6)::text";
    Ok(match db::call(context, sql, &parameters).await? {
        Answer::Confirmed { valid_for_secs } => Outcome::Confirmed { valid_for_secs },
        Answer::WrongPassword => Outcome::WrongPassword,
        Answer::PasswordRequired => Outcome::PasswordRequired,
        Answer::SecondFactorRequired => Outcome::SecondFactorRequired,
        Answer::SecondFactorInvalid => Outcome::SecondFactorInvalid,
        Answer::SessionRequired => return Err(Problem::session_required()),
        Answer::Unauthenticated => return Err(Problem::unauthenticated()),
    })
}
