//! A summary is read from sums that were kept when the events were stored, so it
//! holds the last one that was acknowledged.
//!
//! Two values are cached: that the token may read, and for which organization, under
//! the sign-in of its user; and the answer, under the usage of the organization, which
//! every batch makes stale. A request is served only by both.

use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OrganizationId;
use shared::metering::Aggregation;
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::buckets;
use crate::canonical::{DEFAULT_INTERVAL, canonical};
use crate::operations::{UsageSummary, UsageSummaryQuery};
use crate::queries::{self, Found};

/// Longest answer that is cached: a month of hours is 745 buckets of some 120 bytes,
/// which are 90 KB.
const MAX_CACHED_BYTES: usize = 128 * 1_024;

/// That a token may read its organization's usage. Cached only for tokens that may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reader {
    organization_id: OrganizationId,
}

/// Whether an answer may be kept for whoever reads the usage of `organization_id`. The
/// session may have moved to another organization since its right was looked up. What
/// counts the time until now is old at once.
fn is_cacheable(found: &Found, organization_id: OrganizationId, bytes: usize) -> bool {
    found.organization_id == organization_id
        && found.aggregation != Aggregation::TimeWeightedSum
        && bytes <= MAX_CACHED_BYTES
}

pub async fn summary(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: UsageSummaryQuery = request.query()?;
    let of = Namespace::UsageSummary;
    let reader_key = CacheKey::<Reader>::for_own_reader(token.digest, of);
    let right = cache::look_up(context, reader_key, Scope::Auth(token.owner)).await;
    let reader: Option<Reader> = match &right {
        Lookup::Hit(entry) => entry.value(),
        Lookup::Miss(_) => None,
    };
    // Whose usage it is, only the right says: without it there is nothing to look for.
    let mut answer = None;
    if let Some(Reader { organization_id }) = reader {
        let canonical = canonical(&query);
        let key =
            CacheKey::<UsageSummary>::for_organization_and_query(of, organization_id, &canonical);
        match cache::look_up(context, key, Scope::Usage(organization_id)).await {
            Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
            Lookup::Miss(fill) => answer = Some((fill, organization_id)),
        }
    }
    let interval = query.interval.unwrap_or(DEFAULT_INTERVAL);
    let names = query.group_by.clone().map(|names| names.0);
    let found = queries::summary(context, token.digest, query).await?;
    if let Lookup::Miss(fill) = right {
        let value = Reader {
            organization_id: found.organization_id,
        };
        fill.store(context, &value, found.token_expires_millis)
            .await;
    }
    let groups = buckets::groups(&found, &names.unwrap_or_default()).map_err(|mismatch| {
        context.log("error", &format!("a summary is withheld: {mismatch}"));
        Problem::internal()
    })?;
    let output = UsageSummary {
        meter: found.meter.clone(),
        aggregation: found.aggregation,
        interval,
        time_zone: found.time_zone.clone(),
        since: found.since.clone(),
        until: found.until.clone(),
        groups,
    };
    let body = serde_json::to_vec(&output).map_err(|_| Problem::internal())?;
    if let Some((fill, organization_id)) = answer
        && is_cacheable(&found, organization_id, body.len())
    {
        fill.store(context, &output, found.valid_until_millis).await;
    }
    Ok(Reply::from_json_bytes(200, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_kept() {
        let own = OrganizationId::new(1, &[1; 10]);
        let other = OrganizationId::new(1, &[2; 10]);
        let table = [
            ("sum", own, MAX_CACHED_BYTES, true),
            ("sum", own, MAX_CACHED_BYTES + 1, false),
            ("sum", other, 1, false),
            ("unique_count", own, 1, true),
            ("time_weighted_sum", own, 1, false),
        ];
        for (aggregation, of, bytes, expected) in table {
            let found: Found = serde_json::from_value(json!({
                "organization_id": own, "token_expires_millis": 1, "valid_until_millis": 1,
                "meter": "calls", "aggregation": aggregation, "time_zone": "UTC", "since": "a", "until": "b",
                "starts": ["a"], "events": 0, "groups": [],
            }))
            .expect("a document as the statement makes it");
            assert_eq!(
                is_cacheable(&found, of, bytes),
                expected,
                "{aggregation} {of} {bytes}"
            );
        }
    }
}
