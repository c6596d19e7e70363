//! When guessing is stopped: the limits that login and password change share.

use crate::problem::Problem;

/// Attempts on one account in a row before it is locked out, for a second at
/// first: a person who forgot a password types it that often.
pub const ACCOUNT_FREE_ATTEMPTS: i32 = 5;

/// Attempts from one address before it is locked out: an office behind one
/// address has that many people who mistype within an hour.
pub const ADDRESS_FREE_ATTEMPTS: i32 = 300;

/// 429: the account or the address is locked out for that long.
pub fn locked(retry_after_secs: u32) -> Problem {
    Problem {
        retry_after_secs: Some(retry_after_secs),
        ..Problem::new(
            429,
            "too_many_attempts",
            "There were too many failed attempts",
            format!("Try again in {retry_after_secs} seconds."),
        )
    }
}
