//! The check of the audit log: whether every organization's hash chain is whole, and still has
//! what a checkpoint of it has.
//!
//! The database computes the chain while it writes, so whoever can write to the database can
//! compute another one. A [`Checkpoint`] is what they cannot write: the newest event of each chain,
//! signed with a key that the database does not have, and kept elsewhere. The hash of an event
//! covers all events before it, so one hash holds the whole chain up to there.
//!
//! The check trusts the rows and nothing else: its statement uses no function or operator of the
//! database's own, which could have been replaced. Nor does it let a null pass for an equal.

mod checkpoint;
mod destination;

use std::fmt;

use anyhow::{Context, Result, ensure};
use shared::ids::OrganizationId;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

pub use checkpoint::{ChainEnd, Checkpoint};
pub use destination::Destination;

/// Everything that is checked, in one statement, which sees one state of the database.
/// `audit_hash` computes the same hash when an event is appended.
const CHECK: &str = r#"
    WITH links AS (
        SELECT e.organization_id, e.sequence,
               CASE
                   WHEN e.sequence IS DISTINCT FROM coalesce(lag(e.sequence) OVER chain, 0) + 1
                       THEN 'an event is missing before this one'
                   WHEN e.previous_hash IS DISTINCT FROM coalesce(lag(e.hash) OVER chain, '\x')
                       THEN 'the link to the previous event is broken'
                   WHEN e.hash IS DISTINCT FROM pg_catalog.sha256(e.previous_hash || pg_catalog.convert_to(
                       pg_catalog.jsonb_build_array(
                           e.organization_id, e.sequence,
                           pg_catalog.to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                           e.event_type, e.actor_id, e.session_id, e.api_key_id, e.address, e.subject, e.detail
                       )::text, 'UTF8'))
                       THEN 'the event was changed'
               END AS violation
          FROM public.audit_events e
        WINDOW chain AS (PARTITION BY e.organization_id ORDER BY e.sequence)
    ), newest AS (
        SELECT DISTINCT ON (organization_id) organization_id, sequence, hash
          FROM public.audit_events ORDER BY organization_id, sequence DESC
    ), ends AS (
        SELECT coalesce(h.organization_id, n.organization_id), coalesce(h.sequence, n.sequence),
               CASE
                   WHEN h.sequence > coalesce(n.sequence, 0) THEN 'the newest events are missing'
                   WHEN h.sequence = n.sequence THEN 'the head of the chain has another hash'
                   ELSE 'the head of the chain does not know of this event'
               END
          FROM public.audit_heads h FULL JOIN newest n ON n.organization_id = h.organization_id
         WHERE coalesce(h.sequence, 0) IS DISTINCT FROM coalesce(n.sequence, 0)
            OR coalesce(h.hash, '\x') IS DISTINCT FROM coalesce(n.hash, '\x')
    ), signed AS (
        SELECT c.organization_id, c.sequence,
               CASE
                   WHEN e.hash IS NULL THEN 'the event is missing, and the checkpoint has it'
                   ELSE 'the checkpoint has another event here'
               END
          FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) c(organization_id, sequence, hash)
          LEFT JOIN public.audit_events e ON e.organization_id = c.organization_id AND e.sequence = c.sequence
         WHERE e.hash IS DISTINCT FROM c.hash
    ), broken AS (
        SELECT DISTINCT ON (organization_id) *
          FROM (SELECT * FROM links WHERE violation IS NOT NULL
                UNION ALL SELECT * FROM ends UNION ALL SELECT * FROM signed) found
         ORDER BY organization_id, sequence
    )
    SELECT counted.events, counted.organizations, broken.organization_id, broken.sequence, broken.violation
      FROM (SELECT count(*) AS events, count(DISTINCT organization_id) AS organizations
              FROM public.audit_events) counted
      LEFT JOIN broken ON true
     ORDER BY broken.organization_id"#;

/// The newest event of each chain.
const ENDS: &str = "
    SELECT DISTINCT ON (organization_id) organization_id, sequence, hash
      FROM public.audit_events ORDER BY organization_id, sequence DESC";

/// The first broken link of one organization's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLink {
    /// Whose chain it is; [`OrganizationId::NONE`] for that of the platform.
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
    /// The chains that have any.
    pub organizations: i64,
    /// The first broken link of each chain that has one, by organization.
    pub broken_links: Vec<BrokenLink>,
}

/// Reads the whole audit log and computes every hash anew. What is written meanwhile is not part
/// of it. With `ends`, those of a checkpoint whose signature was verified, every chain must also
/// have the event that the checkpoint has.
///
/// # Errors
/// When Postgres refuses the statement, as it does before the log was migrated.
pub async fn verify(client: &Client, ends: &[ChainEnd]) -> Result<Verification> {
    let organizations: Vec<Uuid> = ends.iter().map(|end| end.organization.as_uuid()).collect();
    let sequences: Vec<i64> = ends.iter().map(|end| end.sequence).collect();
    let hashes: Vec<&[u8]> = ends.iter().map(|end| &end.hash[..]).collect();
    let rows = read(client, CHECK, &[&organizations, &sequences, &hashes]).await?;
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

/// The newest event of each chain, which a checkpoint is made of.
///
/// # Errors
/// When Postgres refuses the statement.
pub async fn ends(client: &Client) -> Result<Vec<ChainEnd>> {
    let rows = read(client, ENDS, &[]).await?;
    rows.iter()
        .map(|row| {
            let hash: &[u8] = row.try_get(2)?;
            ensure!(hash.len() == 32, "the log has a hash that is no SHA-256");
            Ok(ChainEnd {
                organization: OrganizationId::from_uuid(row.try_get(0)?),
                sequence: row.try_get(1)?,
                hash: hash.try_into()?,
            })
        })
        .collect()
}

/// Runs a statement for which the timeout of the role is too short, since it is for the statements
/// of components. Names without a schema are those of Postgres itself, whatever the database or
/// the role says.
async fn read(
    client: &Client,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>> {
    client
        .batch_execute(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL search_path = pg_catalog",
        )
        .await
        .context("cannot begin to read the audit log")?;
    let rows = client.query(statement, parameters).await;
    let ended = client.batch_execute("ROLLBACK").await;
    let rows = rows.context("cannot read the audit log")?;
    ended.context("cannot end the reading of the audit log")?;
    Ok(rows)
}
