//! A summary is read from sums that were kept when the events were stored, so it
//! holds the last one that was acknowledged. It is not cached: the sums change with
//! every batch, and reading them costs what looking for a cached answer would.

use serde::Serialize;
use shared::context::Context;
use shared::http::{Reply, Request};
use shared::problem::Problem;

use crate::buckets::{self, Group};
use crate::{parameters, queries};

#[derive(Serialize)]
struct Output {
    meter: String,
    aggregation: String,
    interval: &'static str,
    time_zone: String,
    since: String,
    until: String,
    groups: Vec<Group>,
}

pub async fn summary(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query = parameters::read(request)?;
    let found = queries::summary(context, token.digest, &query).await?;
    let groups = buckets::groups(&found, &query.group_by);
    Reply::json(
        200,
        &Output {
            meter: query.meter,
            aggregation: found.aggregation,
            interval: query.interval,
            time_zone: found.time_zone,
            since: found.since,
            until: found.until,
            groups,
        },
    )
}
