use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::event::Event;

/// Something that a meter has against an event.
#[derive(Debug, Deserialize)]
pub struct MeterProblem {
    /// The number of the event in the statement, from 1.
    pub n: usize,
    pub field: String,
    pub code: String,
}

/// What the statement did. Events that are in none of these were there before.
#[derive(Debug, Deserialize)]
pub struct Stored {
    /// Whose usage it is.
    pub organization_id: OrganizationId,
    pub accepted: Vec<usize>,
    pub adjustments: Vec<usize>,
    pub problems: Vec<MeterProblem>,
}

/// Stores events that are in the order of their keys.
pub async fn ingest(
    context: &Context,
    digest: TokenDigest,
    events: &[&Event<'_>],
    is_atomic: bool,
) -> Result<Stored, Problem> {
    let texts = |text: fn(&Event<'_>) -> String| {
        events
            .iter()
            .map(|event| text(event))
            .collect::<Vec<String>>()
    };
    let mut keys = Vec::with_capacity(events.len());
    let mut key = 0;
    for (at, event) in events.iter().enumerate() {
        let is_new = at == 0 || {
            let before = events[at - 1];
            (&before.source, &before.id) != (&event.source, &event.id)
        };
        key += i32::from(is_new);
        keys.push(key);
    }
    let times: Vec<i64> = events.iter().map(|event| event.time_micros).collect();
    let parameters = [
        digest.0.to_vec().into(),
        keys.into(),
        texts(|event| event.source.clone().into_owned()).into(),
        texts(|event| event.id.clone().into_owned()).into(),
        texts(|event| event.subject.clone().into_owned()).into(),
        texts(|event| event.kind.clone().into_owned()).into(),
        times.into(),
        texts(|event| event.properties.clone().into_owned()).into(),
        is_atomic.into(),
    ];
    let sql = "SELECT usage_ingest($1, $2, $3, $4, $5, $6, $7, $8, $9)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
