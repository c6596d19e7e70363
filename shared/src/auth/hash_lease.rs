//! The right to hash a password now.
//!
//! A hash occupies a thread of the host and 7 MiB of memory while it is computed, and
//! anybody who may sign in can ask for one. So a host computes a limited number at
//! once, and tells the others to come again instead of letting them wait. A few more are
//! kept for addresses that have none under way, so that nobody takes them all. The
//! instances of a component share no memory, so the leases are rows.

use crate::auth::secrets;
use crate::http::ClientAddress;
use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::ids::HashLeaseId;
use crate::store::db::{self, Parameter};

/// A new lease that is not taken yet. The statement that reads the hash takes it.
#[derive(Debug, Clone)]
pub struct HashLease {
    id: HashLeaseId,
    host_id: String,
    max: i32,
    address: String,
}

impl HashLease {
    /// Draws a new lease for a client, with the variables `host_id` and
    /// `max_hashes_in_flight`.
    ///
    /// # Errors
    /// A 500 when a variable is missing or is not a number above zero.
    pub async fn draw(context: &Context, address: &ClientAddress) -> Result<Self, Problem> {
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
            address: address.counted(),
        })
    }

    /// The parameters of `hash_lease_take`: the lease, the host, the limit and the
    /// client's address as limits count it.
    pub fn parameters(&self) -> [Parameter; 4] {
        let host_id = self.host_id.clone().into();
        [self.id(), host_id, self.max.into(), self.address()]
    }

    /// The client's address, as limits count it.
    pub fn address(&self) -> Parameter {
        self.address.clone().into()
    }

    /// The parameter of `hash_lease_release`.
    pub fn id(&self) -> Parameter {
        self.id.as_uuid().into()
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
