//! The right to hash a password now.
//!
//! A hash occupies a thread of the host and 7 MiB of memory while it is computed, and
//! anybody who may sign in can ask for one. So a host computes a limited number at
//! once, and tells the others to come again instead of letting them wait. The instances
//! of a component share no memory, so the leases are rows.

use crate::auth::secrets;
use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::ids::HashLeaseId;
use crate::store::db::{self, Parameter};

/// A new lease that is not taken yet. The statement that reads the hash takes it. Where
/// there is no such statement, [`HashLease::take`] does.
#[derive(Debug, Clone)]
pub struct HashLease {
    id: HashLeaseId,
    host_id: String,
    max: i32,
}

impl HashLease {
    /// Draws a new lease with the variables `host_id` and `max_hashes_in_flight`.
    ///
    /// # Errors
    /// A 500 when a variable is missing or is not a number above zero.
    pub async fn draw(context: &Context) -> Result<Self, Problem> {
        let host_id = secrets::read(context, "host_id").await?;
        let text = secrets::read(context, "max_hashes_in_flight").await?;
        let max = text.parse().ok().filter(|max| *max > 0).ok_or_else(|| {
            context.log(
                "error",
                &format!("max_hashes_in_flight is {text:?} and not a number above zero"),
            );
            Problem::internal()
        })?;
        Ok(Self {
            id: HashLeaseId::new(context.now_millis(), &context.random()?),
            host_id,
            max,
        })
    }

    /// The parameters of `hash_lease_take`: the lease, the host and the limit.
    pub fn parameters(&self) -> [Parameter; 3] {
        [self.id(), self.host_id.clone().into(), self.max.into()]
    }

    /// The parameter of `hash_lease_release`.
    pub fn id(&self) -> Parameter {
        self.id.as_uuid().into()
    }

    /// Takes the lease in a statement of its own.
    ///
    /// # Errors
    /// 503 `too_many_hashes` when the host computes as many hashes as it may, and those
    /// of [`db::call`].
    pub async fn take(&self, context: &Context) -> Result<(), Problem> {
        let sql = "SELECT to_json(hash_lease_take($1, $2, $3))::text";
        let parameters = self.parameters();
        if db::call(context, sql, &parameters, db::no_refusal_of_its_own).await? {
            Ok(())
        } else {
            Err(too_many_hashes())
        }
    }

    /// Gives the lease back, for a request whose other statements do not.
    ///
    /// # Errors
    /// Those of [`db::call_row`].
    pub async fn release(&self, context: &Context) -> Result<(), Problem> {
        let sql = "SELECT hash_lease_release($1)::text";
        db::call_row(context, sql, &[self.id()]).await.map(drop)
    }
}

crate::refusals! {
    /// The host computes as many password hashes as it may.
    TOO_MANY_HASHES = 503 "too_many_hashes", "Too many passwords are being checked",
        "the host checks as many passwords as it may, and none was checked for this request.";
}

/// 503: the host computes as many password hashes as it may.
pub fn too_many_hashes() -> Problem {
    Problem {
        retry_after_secs: Some(1),
        ..TOO_MANY_HASHES
            .because("The server checks as many passwords as it can; try again in a second.")
    }
}
