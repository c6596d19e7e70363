use serde::Deserialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout::{self, Guess};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

/// Whose password is to change, and what it must match now.
#[derive(Deserialize)]
pub struct User {
    /// Against what the guess counts.
    subject: String,
    pub email: EmailAddress,
    pub password_hash: String,
}

/// What a change leaves.
#[derive(Deserialize)]
pub struct Changed {
    /// From when on the device that asked is known, in microseconds since 1970.
    pub device_issued_micros: i64,
}

/// 422: the current password is another one.
pub fn wrong_password() -> Problem {
    Problem::invalid_field("current_password", "wrong", "is not your current password")
}

fn refuse_change(refused: &Refused) -> Option<Problem> {
    (refused.code == "wrong_password").then(wrong_password)
}

/// Takes the lease, counts the guess, and reads what the current password must match,
/// unless the session has to wait.
pub async fn find_user(
    context: &Context,
    digest: TokenDigest,
    lease: HashLease,
) -> Result<(Guess, User), Problem> {
    let [lease_id, host_id, max, address] = lease.parameters();
    let digest = digest.0.to_vec().into();
    let parameters = [digest, lease_id, host_id, max, address];
    let sql = "SELECT auth_password_begin($1, $2, $3, $4, $5)::text";
    let user: User = db::call(context, sql, &parameters, lockout::refuse).await?;
    Ok((Guess::new(&lease, user.subject.clone()), user))
}

/// Replaces the password, if it is still the one that was verified, and gives the lease
/// back. The guess was right, and its count is taken back.
pub async fn change(
    context: &Context,
    digest: TokenDigest,
    verified_hash: &str,
    new_hash: &str,
    guess: &Guess,
) -> Result<Changed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        verified_hash.to_owned().into(),
        new_hash.to_owned().into(),
        guess.lease_id(),
    ];
    let sql = "SELECT auth_password_change($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse_change).await
}
