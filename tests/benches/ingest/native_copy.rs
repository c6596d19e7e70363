//! The baseline: a loader that copies the same events, a row each, into a table of their columns,
//! and their keys into the same table, knows that none of them is a duplicate, and adds them up
//! itself.

use std::fmt::Write as _;
use std::pin::pin;

use anyhow::Result;
use bytes::Bytes;
use futures::SinkExt as _;
use tokio_postgres::Client;
use turnpike_tests::database::connect_without_timeouts;
use uuid::Uuid;

use crate::batches::{Content, EVENTS_PER_BATCH, content};
use crate::load::generator::Phase;
use crate::sending::{Outcome, repeat};

async fn copy(client: &Client, statement: &str, rows: String) -> Result<()> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(statement).await?);
    sink.send(Bytes::from(rows)).await?;
    sink.finish().await?;
    Ok(())
}

/// Makes the table that events are copied into.
pub async fn prepare(client: &Client) -> Result<()> {
    client
        .batch_execute("CREATE TABLE copied_events AS SELECT * FROM usage_events")
        .await?;
    Ok(())
}

/// Loads batches into the database.
pub async fn load_batches(
    db_url: String,
    organization: Uuid,
    run: u64,
    phase: Phase,
) -> Result<Outcome> {
    let open = async || connect_without_timeouts(&db_url).await;
    repeat(phase, open, async move |client: &mut Client, batch| {
        let (mut events, mut keys) = (String::new(), String::new());
        for place in 0..EVENTS_PER_BATCH {
            let Content {
                subject,
                model,
                tokens,
            } = content(place);
            let id = format!("{run:016x}-{:016x}", batch * EVENTS_PER_BATCH + place);
            // Writing to a string cannot fail.
            let _ = writeln!(
                events,
                "{organization}\tnow\tnow\tf\tcompletion\t\t{id}\tcus_{subject}\t\
                 {{\"tokens\":{tokens},\"model\":\"model-{model}\"}}"
            );
            let _ = writeln!(keys, "{organization}\t\t{id}");
        }
        client.batch_execute("BEGIN").await?;
        copy(client, "COPY usage_event_keys FROM STDIN", keys).await?;
        copy(client, "COPY copied_events FROM STDIN", events).await?;
        client
            .batch_execute(&format!(
                "INSERT INTO usage_rollups AS r
                    (organization_id, meter_id, slot_at, group_key, events, total, latest_at)
                 SELECT '{organization}', m.id, date_bin('15 minutes', now(), 'epoch'), '', {EVENTS_PER_BATCH}, 0, now()
                   FROM meters m WHERE m.organization_id = '{organization}' ORDER BY m.id
                 ON CONFLICT (organization_id, meter_id, slot_at, group_key)
                 DO UPDATE SET events = r.events + excluded.events;
                 COMMIT"
            ))
            .await?;
        Ok(())
    })
    .await
}
