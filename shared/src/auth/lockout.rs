//! The limits on guessing. Everything that checks a password or a one-time code shares
//! them.

use crate::http::problem::Problem;

/// Failures of one account in a row before it is locked, at first for one second. A
/// person who forgot a password types it that often.
pub const ACCOUNT_FREE_FAILURES: i32 = 5;

/// Failures from one address before it is locked. In an office behind one address, that
/// many people may mistype within an hour.
pub const ADDRESS_FREE_FAILURES: i32 = 300;

crate::refusals! {
    /// The account or the address is locked.
    TOO_MANY_ATTEMPTS = 429 "too_many_attempts", "There were too many failed attempts",
        "the account or the address is locked out after failed attempts. Neither password nor code was looked at.";
}

/// 429: the account or the address is locked for that long.
pub fn locked(retry_after_secs: u32) -> Problem {
    Problem {
        retry_after_secs: Some(retry_after_secs),
        ..TOO_MANY_ATTEMPTS.because(format!("Try again in {retry_after_secs} seconds."))
    }
}

/// The problem of a statement that checks the lockout and takes the lease of a hash:
/// what `login_refusal` refuses with, or `too_many_hashes`.
#[cfg(feature = "spin")]
pub fn refuse(refused: &crate::store::db::Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "too_many_attempts" => Some(locked(refused.fact("retry_after_secs")?)),
        "too_many_hashes" => Some(crate::auth::hash_lease::too_many_hashes()),
        _ => None,
    }
}

/// Counts a wrong password or code against the account and the address. Gives back the
/// lease under which it was checked, if there was one.
///
/// # Errors
/// Those of [`crate::store::db::call_row`].
#[cfg(feature = "spin")]
pub async fn record_failure(
    context: &crate::http::context::Context,
    email: &crate::text::email::EmailAddress,
    address: &str,
    lease: Option<&crate::auth::hash_lease::HashLease>,
) -> Result<(), Problem> {
    let parameters = [
        email.as_str().to_owned().into(),
        address.to_owned().into(),
        ACCOUNT_FREE_FAILURES.into(),
        ADDRESS_FREE_FAILURES.into(),
        lease.map_or(crate::store::db::Parameter::DbNull, |lease| lease.id()),
    ];
    let sql = "SELECT auth_login_failed($1, $2, $3, $4, $5)::text";
    crate::store::db::call_row(context, sql, &parameters).await?;
    Ok(())
}
