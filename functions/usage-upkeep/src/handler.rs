//! A job that a scheduler calls, once a day or more often. It may be called twice
//! at once: one call does it, and the other says that it is being done.

use std::time::Duration;

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::store::cache_removal;

use crate::queries;

/// For how long dead entries are taken out of the cache.
const SWEEPING_TIME: Duration = Duration::from_millis(500);

pub async fn run(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let mut upkeep = queries::run(context, token.digest).await?;
    if !upkeep.missing.is_empty() {
        let months: Vec<&str> = upkeep.missing.iter().map(|month| &**month).collect();
        context.log(
            "warn",
            &format!("the default partition of usage_event_batches has events of {months:?}"),
        );
    }
    let credits = queries::settle_credits(context, token.digest).await?;
    upkeep.settled_accounts = credits.settled_accounts;
    upkeep.failed_accounts = credits.failed_accounts;
    let entitlements = queries::settle_entitlements(context, token.digest).await?;
    upkeep.settled_entitlements = entitlements.settled_entitlements;
    upkeep.failed_entitlements = entitlements.failed_entitlements;
    for (count, what) in [
        (upkeep.failed_accounts, "accounts of credits"),
        (upkeep.failed_entitlements, "entitlements"),
    ] {
        if count > 0 {
            let message = format!("{count} {what} cannot be settled; the log of Postgres says why");
            context.log("error", &message);
        }
    }
    // The cache is never needed: if it is away, there is nothing to sweep.
    let swept = cache_removal::sweep(context, SWEEPING_TIME).await;
    let swept = swept.unwrap_or_default();
    upkeep.swept_cache_entries = swept.removed;
    upkeep.is_cache_swept = swept.is_complete;
    Reply::json(200, &upkeep)
}
