use serde::Deserialize;
use shared::auth::hash_lease::HashLease;
use shared::auth::lockout;
use shared::auth::password::PasswordChanged;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db::{self, Refused};
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

/// Whose password is to change, and what it must match now.
#[derive(Deserialize)]
pub struct User {
    pub email: EmailAddress,
    pub password_hash: String,
}

/// 422: the current password is another one.
pub fn wrong_password() -> Problem {
    Problem::invalid_field("current_password", "wrong", "is not your current password")
}

fn refuse_change(refused: &Refused) -> Option<Problem> {
    (refused.code == "wrong_password").then(wrong_password)
}

/// Takes the lease and reads what the current password must match, unless the account
/// is locked.
pub async fn find_user(
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
    let sql = "SELECT auth_password_begin($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, lockout::refuse).await
}

/// Replaces the password, if it is still the one that was verified, and gives the lease
/// back.
pub async fn change(
    context: &Context,
    digest: TokenDigest,
    verified_hash: &str,
    new_hash: &str,
    lease: &HashLease,
) -> Result<PasswordChanged, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        verified_hash.to_owned().into(),
        new_hash.to_owned().into(),
        lease.id(),
    ];
    let sql = "SELECT auth_password_change($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse_change).await
}
