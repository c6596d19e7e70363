use serde::Deserialize;
use shared::auth::hash_lease::{self, HashLease};
use shared::auth::lockout;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::text::email::EmailAddress;
use shared::token::TokenDigest;

use crate::handler;

/// Whose password is to change, and what it must match now.
pub struct User {
    pub email: EmailAddress,
    pub password_hash: String,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum BeginAnswer {
    Proceed {
        email: String,
        password_hash: String,
    },
    Locked {
        retry_after_secs: u32,
    },
    Busy,
    SessionRequired,
    Unauthenticated,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ChangeAnswer {
    Changed,
    WrongPassword,
    SessionRequired,
    Unauthenticated,
}

/// Takes the lease and reads what the current password must match, unless
/// guessing is stopped.
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
    match db::call(context, sql, &parameters).await? {
        BeginAnswer::Proceed {
            email,
            password_hash,
        } => Ok(User {
            email: EmailAddress::parse(&email).map_err(|_| Problem::internal())?,
            password_hash,
        }),
        BeginAnswer::Locked { retry_after_secs } => Err(lockout::locked(retry_after_secs)),
        BeginAnswer::Busy => Err(hash_lease::too_many_hashes()),
        BeginAnswer::SessionRequired => Err(Problem::session_required()),
        BeginAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}

/// Replaces the password, if it is still the one that was verified, and gives the
/// lease back.
pub async fn change(
    context: &Context,
    digest: TokenDigest,
    verified_hash: &str,
    new_hash: &str,
    lease: &HashLease,
) -> Result<(), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        verified_hash.to_owned().into(),
        new_hash.to_owned().into(),
        lease.id(),
    ];
    let sql = "SELECT auth_password_change($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        ChangeAnswer::Changed => Ok(()),
        ChangeAnswer::WrongPassword => Err(handler::wrong_password()),
        ChangeAnswer::SessionRequired => Err(Problem::session_required()),
        ChangeAnswer::Unauthenticated => Err(Problem::unauthenticated()),
    }
}
