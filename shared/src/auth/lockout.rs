//! The limits on guessing. Everything that checks a password or a one-time code shares
//! them.
//!
//! A guess is counted before it is verified, by the statement that takes the right to verify it, so
//! that of many guesses at once no more are verified than the limit allows. One that was right
//! takes its count back. What it counts against, its subject, decides whom it can stop: strangers
//! have one for each pair of email and address, and a known device and the sign-in of a live
//! session have one of their own. The limits themselves are in the SQL functions
//! `guess_free_failures`, `address_free_failures` and `guess_delay`.

#[cfg(feature = "spin")]
use crate::auth::hash_lease::HashLease;
#[cfg(feature = "spin")]
use crate::http::ClientAddress;
#[cfg(feature = "spin")]
use crate::http::context::Context;
use crate::http::problem::Problem;
#[cfg(feature = "spin")]
use crate::ids::GuessId;
#[cfg(feature = "spin")]
use crate::store::db::{self, Parameter};
#[cfg(feature = "spin")]
use crate::text::email::EmailAddress;

crate::refusals! {
    /// Whoever guesses has to wait.
    TOO_MANY_ATTEMPTS = 429 "too_many_attempts", "There were too many failed attempts",
        "the device, the session, or the address has failed too often, and waits. Neither password nor code was looked at.";
}

/// 429: whoever guesses has to wait for that long.
pub fn locked(retry_after_secs: u32) -> Problem {
    Problem {
        retry_after_secs: Some(retry_after_secs),
        ..TOO_MANY_ATTEMPTS.because(format!("Try again in {retry_after_secs} seconds."))
    }
}

/// The problem of a statement that counts a guess and takes the lease of a hash: what
/// `guess_begin` refuses with.
#[cfg(feature = "spin")]
pub fn refuse(refused: &db::Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "too_many_attempts" => Some(locked(refused.fact("retry_after_secs")?)),
        "too_many_hashes" => Some(crate::auth::hash_lease::too_many_hashes()),
        _ => None,
    }
}

/// A guess that was counted, and may be verified now.
#[cfg(feature = "spin")]
#[derive(Debug, Clone)]
pub struct Guess {
    id: Parameter,
    address: Parameter,
    subject: String,
    email: Option<EmailAddress>,
}

/// What was wrong of a guess. The audit log says it.
#[cfg(feature = "spin")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The password.
    Password,
    /// The one-time code or the recovery code.
    SecondFactor,
}

#[cfg(feature = "spin")]
impl Wrong {
    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SecondFactor => "second_factor",
        }
    }
}

#[cfg(feature = "spin")]
impl Guess {
    /// The guess of a live session, for which the statement that took `lease` answered
    /// `subject`.
    pub fn new(lease: &HashLease, subject: String) -> Self {
        Self {
            id: lease.id(),
            address: lease.address(),
            subject,
            email: None,
        }
    }

    /// The guess of a live session at a code that needs no lease, for which the statement that
    /// counted it answered `subject`.
    pub fn at_code(id: GuessId, address: &ClientAddress, subject: String) -> Self {
        Self {
            id: id.as_uuid().into(),
            address: address.counted().into(),
            subject,
            email: None,
        }
    }

    /// The same of somebody who signs in as `email`.
    #[must_use]
    pub fn at(self, email: &EmailAddress) -> Self {
        Self {
            email: Some(email.clone()),
            ..self
        }
    }

    /// The parameter that names the guess, and the lease under which it is verified.
    pub fn lease_id(&self) -> Parameter {
        self.id.clone()
    }

    /// The parameter of `guess_forgive`.
    pub fn subject(&self) -> Parameter {
        self.subject.clone().into()
    }

    /// Notes that the guess was wrong: a stranger's counts against their address too, and
    /// the audit log says it. Gives the lease back, if it was not given back before.
    ///
    /// # Errors
    /// Those of [`db::call_row`].
    pub async fn fail(&self, context: &Context, wrong: Wrong) -> Result<(), Problem> {
        let sql = "SELECT guess_failed($1, $2, $3, $4, $5)::text";
        let email = self.email.as_ref().map(|email| email.as_str().to_owned());
        let parameters = [
            self.lease_id(),
            self.subject(),
            self.address.clone(),
            email.into(),
            wrong.name().to_owned().into(),
        ];
        db::call_row(context, sql, &parameters).await.map(drop)
    }

    /// Takes the count back of a guess that was none, and gives the lease back.
    ///
    /// # Errors
    /// Those of [`db::call_row`].
    pub async fn withdraw(&self, context: &Context) -> Result<(), Problem> {
        let sql = "SELECT guess_withdraw($1, $2)::text";
        let parameters = [self.lease_id(), self.subject()];
        db::call_row(context, sql, &parameters).await.map(drop)
    }
}
