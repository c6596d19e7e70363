use serde::Deserialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout::{self, Guess};
use shared::auth::second_factor::{self, Enrolment, Proof};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::UserId;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::Reauthenticated;

/// Who is to prove who they are, and what the proof must match.
#[derive(Deserialize)]
pub struct User {
    /// Against what the guess counts.
    subject: String,
    pub user_id: UserId,
    pub password_hash: String,
    /// Absent when they have no second factor.
    pub enrolment: Option<Enrolment>,
}

/// 422: the password is another one.
pub fn wrong_password() -> Problem {
    Problem::invalid_field("password", "wrong", "is not your password")
}

/// 422: a user without a second factor gave no password.
pub fn password_required() -> Problem {
    Problem::invalid_field("password", "required", "is required")
}

/// 422: a user with a second factor gave no code.
pub fn code_required() -> Problem {
    Problem::invalid_field(
        "totp_code",
        "required",
        "is required of a user with a second factor, or recovery_code in its place",
    )
}

/// What has changed since the proof was checked.
fn refuse_proof(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "wrong_password" => wrong_password(),
        "password_required" => password_required(),
        "second_factor_required" => code_required(),
        _ => return None,
    })
}

/// Takes the lease, counts the guess, and reads what the proof must match, unless the
/// session has to wait.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    lease: HashLease,
) -> Result<(Guess, User), Problem> {
    let [lease_id, host_id, max, address] = lease.parameters();
    let digest = digest.0.to_vec().into();
    let parameters = [digest, lease_id, host_id, max, address];
    let sql = "SELECT auth_reauthenticate_begin($1, $2, $3, $4, $5)::text";
    let user: User = db::call(context, sql, &parameters, lockout::refuse).await?;
    Ok((Guess::new(&lease, user.subject.clone()), user))
}

/// Notes the proof in the session, spends the code, and gives the lease back. `None`
/// when the code was used before, or is no recovery code of the user's.
pub async fn confirm(
    context: &Context,
    digest: TokenDigest,
    verified_hash: Option<&str>,
    proof: Option<Proof>,
    guess: &Guess,
) -> Result<Option<Reauthenticated>, Problem> {
    let [enrolment, step, recovery_digest] = second_factor::parameters(proof.as_ref());
    let parameters = [
        digest.0.to_vec().into(),
        verified_hash.map(str::to_owned).into(),
        enrolment,
        step,
        recovery_digest,
        guess.lease_id(),
    ];
    let sql = "SELECT auth_reauthenticate($1, $2, $3, $4, $5, $6)::text";
    db::call(context, sql, &parameters, refuse_proof).await
}
