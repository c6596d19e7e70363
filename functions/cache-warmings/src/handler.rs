//! Bounded in number and in time: a statement is sent when the one before has ended, and none after
//! a second, so that a call takes little from requests of users.

use std::time::Duration;

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OrganizationId;
use shared::warming::{self, ComponentStore, ORGANIZATIONS_AT_ONCE};

use crate::operations::{CacheWarmed, CacheWarming};
use crate::queries;

/// For how long a call begins with more organizations.
const TIME: Duration = Duration::from_secs(1);

const DEFAULT_LIMIT: i64 = 200;
const DEFAULT_DAYS: i64 = 7;

pub async fn warm(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let (wanted, _) = request.json::<CacheWarming>().await?;
    let limit = wanted.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
    let organizations = queries::begin(
        context,
        token.digest,
        wanted.mode,
        wanted.days.map_or(DEFAULT_DAYS, |days| days.0),
        wanted.after.unwrap_or(OrganizationId::NONE),
        limit,
    )
    .await?;
    let store = ComponentStore(context);
    let mut warmed = CacheWarmed {
        values: 0,
        organizations: 0,
        last_organization_id: wanted.after,
        is_complete: i64::try_from(organizations.len()).is_ok_and(|count| count < limit),
    };
    for some in organizations.chunks(ORGANIZATIONS_AT_ONCE) {
        // Some are warmed whatever the time, so that each call gets on.
        if warmed.organizations > 0 && context.elapsed() >= TIME {
            warmed.is_complete = false;
            break;
        }
        let read = queries::values(context, wanted.mode, some);
        warmed.values += warming::warm(&store, some, read).await?;
        warmed.organizations += u32::try_from(some.len()).unwrap_or(u32::MAX);
        warmed.last_organization_id = some.last().copied();
    }
    Reply::json(200, &warmed)
}
