use serde::Deserialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::auth::second_factor::{self, Enrolment, Proof};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::UserId;
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

use crate::operations::Reauthenticated;

/// Who is to prove who they are, and what the proof must match.
#[derive(Deserialize)]
pub struct User {
    pub user_id: UserId,
    pub email: EmailAddress,
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

/// Takes the lease and reads what the proof must match, unless the account is locked.
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
    db::call(context, sql, &parameters, lockout::refuse).await
}

/// Notes the proof in the session, spends the code, and gives the lease back. `None`
/// when the code was used before, or is no recovery code of the user's.
pub async fn confirm(
    context: &Context,
    digest: TokenDigest,
    verified_hash: Option<&str>,
    proof: Option<Proof>,
    lease: &HashLease,
) -> Result<Option<Reauthenticated>, Problem> {
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
    db::call(context, sql, &parameters, refuse_proof).await
}
