use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache_removal;

use crate::operations::{CacheHealthQuery, CacheProbe, CacheProbeStatus};
use crate::{queries, stats};

pub async fn stats(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let counted = queries::counted(context, token.digest).await?;
    Reply::json(200, &stats::stats(counted))
}

pub async fn health(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: CacheHealthQuery = request.query()?;
    queries::check_permission(context, token.digest).await?;
    let probe = cache_removal::probe(context, query.keys == Some(true)).await;
    let status = match probe {
        Some(_) => CacheProbeStatus::Available,
        None => CacheProbeStatus::Unavailable,
    };
    let latency = probe.map(|probe| probe.latency.as_micros());
    let health = CacheProbe {
        status,
        latency_micros: latency.map(|micros| u32::try_from(micros).unwrap_or(u32::MAX)),
        keys: probe.and_then(|probe| probe.keys),
    };
    Reply::json(200, &health)
}
