//! Stores the events as the product does, batch by batch with its own SQL function.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use indicatif::ProgressBar;
use tokio_postgres::Client;
use turnpike_host::postgres_cluster::Cluster;
use turnpike_tests::database::connect_without_timeouts;
use uuid::Uuid;

use crate::events::{EVENTS_PER_BATCH, Month, Share, shares};
use crate::load::figures::grouped;
use crate::load::fixtures::{self, Registered};
use crate::load::phase;

/// Connections that store: two for each core of the machine that the targets are for.
const CONNECTIONS: usize = 4;

/// Bytes of disk that an event takes with its key and their index, and that a sum of a
/// customer's takes with its own.
const BYTES_PER_EVENT: u64 = 160;
const BYTES_PER_SUM: u64 = 450;

/// Names the keys of a batch by their order, as the component does.
const STORE: &str = "SELECT json_array_length(usage_store(
    $1, $2::integer[], array_fill(''::text, ARRAY[cardinality($2::integer[])]), $3::text[], $4::text[],
    array_fill('completion'::text, ARRAY[cardinality($2::integer[])]), $5::bigint[], $6::text[], false) -> 'accepted')";

/// A database with a month of events.
pub struct Filled {
    /// The address of the database.
    pub db_url: String,
    /// A connection to it.
    pub client: Client,
    /// The owner of the organization that is measured.
    pub owner: Registered,
    /// An administrator of the platform.
    pub admin: Registered,
    /// The month.
    pub month: Month,
    /// The events of the organization that is measured.
    pub own_events: u64,
    /// Bytes of the database.
    pub bytes: i64,
    /// How long storing took.
    pub elapsed: Duration,
}

/// Creates the database anew and fills it.
///
/// # Errors
/// Postgres refuses something, or does not have each event once.
pub async fn fill(
    cluster: &Cluster,
    database: &str,
    root: &Path,
    events: u64,
    organizations: u16,
) -> Result<Filled> {
    let shares = shares(events, organizations);
    let sums: u64 = shares.iter().map(|share| share.subject_sums()).sum();
    eprintln!(
        "{} events take {} GB of disk below .turnpike/bench-postgres, until the end of the run",
        grouped(events as f64),
        (events * BYTES_PER_EVENT + sums * BYTES_PER_SUM).div_ceil(1_000_000_000)
    );
    let (db_url, client) = fixtures::create(cluster, database, root).await?;
    let mut owners = fixtures::register(&client, shares.len() + 1).await?;
    let admin = owners.pop().context("nobody was registered")?;
    client
        .execute(
            "UPDATE users SET platform_role = 'platform_admin' WHERE id = $1",
            &[&admin.id],
        )
        .await?;
    let ids: Vec<Uuid> = owners.iter().map(|owner| owner.id).collect();
    client
        .execute(
            "INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property, group_by)
             SELECT o.id, owned_id(o.id, gen_random_uuid()), m.*
               FROM unnest($1::uuid[]) o (id),
                    (VALUES ('tokens', 'completion', 'sum', 'tokens', '{}'::text[]),
                            ('requests', 'completion', 'count', NULL, '{model}')) m",
            &[&ids],
        )
        .await?;
    let month = this_month(&client).await?;
    let began = Instant::now();
    store(&db_url, &shares, &ids, month).await?;
    let elapsed = began.elapsed();
    settle(&client).await?;
    check(&client, &shares, &ids).await?;
    let bytes = client
        .query_one("SELECT pg_database_size(current_database())", &[])
        .await?
        .try_get(0)?;
    let own_events = shares.first().map_or(0, |share| share.events);
    Ok(Filled {
        db_url,
        client,
        owner: owners.swap_remove(0),
        admin,
        month,
        own_events,
        bytes,
        elapsed,
    })
}

/// The month of today in UTC, the days to come included: the figures do not depend on the day.
async fn this_month(client: &Client) -> Result<Month> {
    let row = client
        .query_one(
            "SELECT extract(epoch FROM m)::bigint * 1000000,
                    extract(day FROM m AT TIME ZONE 'UTC' + interval '1 month - 1 day')::integer
               FROM date_trunc('month', now(), 'UTC') m",
            &[],
        )
        .await?;
    let days: i32 = row.try_get(1)?;
    Ok(Month {
        since_micros: row.try_get(0)?,
        days: u32::try_from(days)?,
    })
}

/// Each connection has a part of the month of some organizations for itself, so that none waits
/// for another's sums.
async fn store(db_url: &str, shares: &[Share], ids: &[Uuid], month: Month) -> Result<()> {
    let batches: Vec<(Share, u64)> = shares
        .iter()
        .flat_map(|share| share.batches().map(|first| (*share, first)))
        .collect();
    let stored = Cell::new(0);
    let parts = batches.chunks(batches.len().div_ceil(CONNECTIONS));
    let work = try_join_all(parts.map(async |part| {
        let client = connect_without_timeouts(db_url).await?;
        // Nothing is lost if the machine fails: it is all made anew.
        client.batch_execute("SET synchronous_commit = off").await?;
        let statement = client.prepare(STORE).await?;
        for (share, first) in part {
            let id = ids.get(share.organization).context("no organization")?;
            let batch = Batch::new(*share, *first, month);
            let accepted: i32 = client
                .query_one(
                    &statement,
                    &[
                        id,
                        &batch.keys,
                        &batch.ids,
                        &batch.subjects,
                        &batch.times,
                        &batch.properties,
                    ],
                )
                .await?
                .try_get(0)?;
            ensure!(
                usize::try_from(accepted) == Ok(batch.keys.len()),
                "{accepted} of {} events were accepted",
                batch.keys.len()
            );
            stored.set(stored.get() + 1);
        }
        anyhow::Ok(())
    }));
    let label = format!(
        "storing {} events",
        grouped(shares.iter().map(|share| share.events).sum::<u64>() as f64)
    );
    phase::with_bar(&label, batches.len() as u64, || stored.get(), work).await?;
    Ok(())
}

/// What is sent of a batch, column by column.
#[derive(Default)]
struct Batch {
    keys: Vec<i32>,
    ids: Vec<String>,
    subjects: Vec<String>,
    times: Vec<i64>,
    properties: Vec<String>,
}

impl Batch {
    fn new(share: Share, first: u64, month: Month) -> Self {
        let mut batch = Self::default();
        let last = share.events.min(first + EVENTS_PER_BATCH);
        for (key, number) in (1..).zip(first..last) {
            let content = share.content(number, month);
            batch.keys.push(key);
            batch.ids.push(format!("{number:016x}"));
            batch.subjects.push(format!("cus_{}", content.subject));
            batch.times.push(content.micros);
            batch.properties.push(format!(
                "{{\"tokens\":{},\"model\":\"model-{}\"}}",
                content.tokens, content.model
            ));
        }
        batch
    }
}

/// Does what Postgres would otherwise do by itself while something is measured.
async fn settle(client: &Client) -> Result<()> {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(120));
    bar.set_message("vacuuming and analyzing");
    let settled = client.batch_execute("VACUUM (ANALYZE)").await;
    bar.finish_and_clear();
    settled.context("cannot vacuum")
}

/// Makes sure that each organization's meters have each of its events once, and what it says.
async fn check(client: &Client, shares: &[Share], ids: &[Uuid]) -> Result<()> {
    let sent: u64 = shares.iter().map(|share| share.events).sum();
    for table in ["usage_events", "usage_event_keys"] {
        let row = client
            .query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .await?;
        let found: i64 = row.try_get(0)?;
        ensure!(
            u64::try_from(found) == Ok(sent),
            "{sent} events were stored, and {table} has {found}"
        );
    }
    for table in ["usage_rollups", "usage_subject_rollups"] {
        let sql = format!(
            "SELECT sum(r.events) FILTER (WHERE m.slug = 'tokens')::bigint,
                    sum(r.events) FILTER (WHERE m.slug = 'requests')::bigint, sum(r.total)::bigint
               FROM {table} r JOIN meters m ON m.organization_id = r.organization_id AND m.id = r.meter_id
              WHERE r.organization_id = $1"
        );
        for share in shares {
            let row = client
                .query_one(&sql, &[&ids.get(share.organization)])
                .await?;
            let expected = [share.events, share.events, share.tokens()];
            for (column, expected) in expected.into_iter().enumerate() {
                let found: Option<i64> = row.try_get(column)?;
                ensure!(
                    found.and_then(|found| u64::try_from(found).ok()) == Some(expected),
                    "{table} of organization {} adds up to {found:?} where {expected} was stored",
                    share.organization + 1
                );
            }
        }
    }
    Ok(())
}
