use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::db;

use crate::operations::{CacheHealth, Health, Live, Ready};

/// Liveness asks nothing of any dependency: restarting this process would not
/// mend one.
pub async fn live(_: &Context, _: &Request) -> Result<Reply, Problem> {
    let live = Live {
        status: Health::Ok,
        version: env!("CARGO_PKG_VERSION"),
    };
    Reply::json(200, &live)
}

/// Readiness fails without Postgres. Without the cache all is well, only slower.
pub async fn ready(context: &Context, _: &Request) -> Result<Reply, Problem> {
    db::call_row(context, "SELECT 1", &[]).await?;
    let cache = if cache::is_reachable(context).await {
        CacheHealth::Ok
    } else {
        CacheHealth::Unavailable
    };
    let ready = Ready {
        status: Health::Ok,
        postgres: Health::Ok,
        cache,
    };
    Reply::json(200, &ready)
}
