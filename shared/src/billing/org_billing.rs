//! What the routes under an organization's billing share: their paths, what a member
//! may take of the pool, and common refusals.

use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::ids::{OrganizationId, UserId};
use crate::money::decimal_text::DecimalText;
use crate::money::{Currency, Money};
use crate::organizations;

/// The start of each path, before the organization's id.
pub const COLLECTION: &str = "/api/v1/org-billing/organizations";

/// The segments of a path after [`COLLECTION`]: the organization's id and the segments
/// below it.
pub fn segments(path: &str) -> Vec<&str> {
    let rest = path.strip_prefix(COLLECTION).unwrap_or_default();
    match rest.strip_prefix('/') {
        None => Vec::new(),
        Some(rest) => rest.split('/').collect(),
    }
}

/// The organization that the path names.
///
/// # Errors
/// [`organizations::not_found`] when it names none.
pub fn named(path: &str) -> Result<OrganizationId, Problem> {
    let id = segments(path).first().and_then(|id| id.parse().ok());
    id.ok_or_else(organizations::not_found)
}

/// Shows that a token may read an organization's billing. It is cached only for tokens
/// that may. What they read is cached beside it, because it belongs to the organization
/// and is the same for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// The organization whose billing it is.
    pub organization_id: OrganizationId,
}

/// How much a member may take of the pool in a period, and how much they have taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// The member.
    pub user_id: UserId,
    /// The most that the member can take in a period.
    pub limit: Money,
    /// What the member took in this period.
    pub used: Money,
    /// What the member can still take: zero if the limit was lowered below `used`.
    pub remaining: Money,
    /// `never`, `day`, `week` or `month`.
    pub reset: String,
    /// When the period began, RFC 3339 in UTC.
    pub period_started_at: String,
    /// When it ends, exclusive. Absent if it has no end.
    pub period_ends_at: Option<String>,
}

/// An allocation as `allocation_json` in the database writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct AllocationRow {
    user_id: UserId,
    currency: Currency,
    limit: DecimalText,
    used: DecimalText,
    remaining: DecimalText,
    reset: String,
    period_started_at: String,
    period_ends_at: Option<String>,
    /// Its place in the list.
    pub sequence: i64,
}

impl From<AllocationRow> for Allocation {
    fn from(row: AllocationRow) -> Self {
        let money = |amount: DecimalText| Money::new(amount.0, row.currency);
        Self {
            user_id: row.user_id,
            limit: money(row.limit),
            used: money(row.used),
            remaining: money(row.remaining),
            reset: row.reset,
            period_started_at: row.period_started_at,
            period_ends_at: row.period_ends_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let id = OrganizationId::new(1, &[1; 10]);
        let path = format!("{COLLECTION}/{id}/credit-pool/allocations/usr_1");
        let expected = [&id.to_string(), "credit-pool", "allocations", "usr_1"];
        assert_eq!(segments(&path), expected);
        assert_eq!(named(&path), Ok(id));
        for path in [
            COLLECTION,
            "/api/v1/org-billing/organizations/",
            "/api/v1/org-billing/organizations/org_1/subscription",
        ] {
            assert_eq!(
                named(path).map_err(|problem| problem.status),
                Err(404),
                "{path}"
            );
        }
    }
}
