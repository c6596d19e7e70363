//! A job that a scheduler calls, once a day or more often. It may be called twice
//! at once: one call does it, and the other says that it is being done.

use serde::Serialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::queries::{self, Upkeep};

#[derive(Serialize)]
struct Output {
    status: &'static str,
    /// Months, such as `2026-11`, of which the partitions were made.
    created: Vec<String>,
    /// Those whose partitions were dropped, with their events.
    dropped: Vec<String>,
    /// Those that can have no partition, because the default one has their events.
    missing: Vec<String>,
}

pub async fn run(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let upkeep = queries::run(context, token.digest).await?;
    let status = if upkeep.is_some() {
        "done"
    } else {
        "already_running"
    };
    let Upkeep {
        created,
        dropped,
        missing,
    } = upkeep.unwrap_or_default();
    if !missing.is_empty() {
        context.log(
            "warn",
            &format!("the default partition of usage_events has events of {missing:?}"),
        );
    }
    Reply::json(
        200,
        &Output {
            status,
            created,
            dropped,
            missing,
        },
    )
}
