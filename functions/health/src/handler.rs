use serde::Serialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache;
use shared::store::db;

#[derive(Serialize)]
struct Live {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    postgres: &'static str,
    cache: &'static str,
}

/// Liveness asks nothing of any dependency: restarting this process would not
/// mend one. Readiness fails without Postgres; without the cache all is well,
/// only slower.
pub async fn health(context: &Context, request: &Request) -> Result<Reply, Problem> {
    if !request.path().ends_with("/ready") {
        return Reply::json(
            200,
            &Live {
                status: "ok",
                version: env!("CARGO_PKG_VERSION"),
            },
        );
    }
    db::call_row(context, "SELECT 1", &[]).await?;
    let cache = if cache::is_reachable(context).await {
        "ok"
    } else {
        "unavailable"
    };
    Reply::json(
        200,
        &Ready {
            status: "ok",
            postgres: "ok",
            cache,
        },
    )
}
