//! `POST /bare-rating/<detail>/<lines>`: makes so many lines of a graduated
//! charge with ten tiers, and says how long it took.

use rating_bench::{BenchError, Detail};
use serde_json::json;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

/// Most lines of one request: a few seconds.
const MAX_LINES: u32 = 1_000_000;

async fn rate(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let mut parts = request.path().rsplit('/');
    let lines = parts.next().and_then(|lines| lines.parse().ok());
    let lines = lines
        .filter(|lines| (1..=MAX_LINES).contains(lines))
        .ok_or_else(|| Problem::not_found("The number of lines is none."))?;
    let name = parts.next().unwrap_or_default();
    let detail = Detail::ALL
        .into_iter()
        .find(|detail| detail.name() == name)
        .ok_or_else(|| Problem::not_found("No lines are called so."))?;

    let failed = |error: BenchError| {
        context.log("error", &error.to_string());
        Problem::internal()
    };
    let charge = rating_bench::graduated().map_err(failed)?;
    let usages = rating_bench::quantities();
    let began = context.elapsed();
    let total = rating_bench::rate_lines(&charge, &usages, detail, lines).map_err(failed)?;
    let nanos = context.elapsed().saturating_sub(began).as_nanos();
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
    Reply::json(200, &json!({"nanos": nanos, "total": total}))
}

shared::component!("bare-rating", "POST", rate);
