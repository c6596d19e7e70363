//! The check of the audit log: whether every organization's hash chain is whole.

use std::fmt;

use anyhow::{Context, Result};
use shared::ids::OrganizationId;
use tokio_postgres::Client;

/// The first broken link of one organization's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLink {
    /// Whose chain it is.
    pub organization: OrganizationId,
    /// The event's number in it.
    pub sequence: i64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "organization {}: event {}: {}",
            self.organization, self.sequence, self.reason
        )
    }
}

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The events of all chains.
    pub events: i64,
    /// The organizations that have any.
    pub organizations: i64,
    /// The first broken link of each chain that has one, by organization.
    pub broken_links: Vec<BrokenLink>,
}

/// Reads the whole audit log and computes every hash anew. What is written meanwhile is not part
/// of it: one statement sees one state of the database.
///
/// # Errors
/// When Postgres refuses the statement, as it does before the log was migrated.
pub async fn verify(client: &Client) -> Result<Verification> {
    // It takes longer than a statement of a component may, whose timeout the role has.
    client
        .batch_execute("BEGIN READ ONLY; SET LOCAL statement_timeout = 0")
        .await
        .context("cannot begin to check the audit log")?;
    let read = client
        .query(
            "SELECT checked.events, checked.organizations,
                    broken.organization_id, broken.sequence, broken.violation
               FROM (SELECT count(*) AS events, count(DISTINCT organization_id) AS organizations
                       FROM audit_events) checked
               LEFT JOIN audit_violations() broken ON true
              ORDER BY broken.organization_id",
            &[],
        )
        .await;
    let ended = client.batch_execute("ROLLBACK").await;
    let rows = read.context("cannot check the audit log")?;
    ended.context("cannot end the check of the audit log")?;
    let first = rows
        .first()
        .context("the check of the audit log is empty")?;
    let (events, organizations) = (first.try_get(0)?, first.try_get(1)?);
    let mut broken_links = Vec::new();
    for row in &rows {
        if let Some(organization) = row.try_get(2)? {
            broken_links.push(BrokenLink {
                organization: OrganizationId::from_uuid(organization),
                sequence: row.try_get(3)?,
                reason: row.try_get(4)?,
            });
        }
    }
    Ok(Verification {
        events,
        organizations,
        broken_links,
    })
}
