use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Event, Filter};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { events: Vec<Event> },
    Unauthenticated,
    Forbidden,
}

/// The events of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    filter: &Filter,
    page: Page,
) -> Result<Vec<Event>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        filter.event_type.clone().into(),
        filter.since.into(),
        filter.until.into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT audit_log($1, $2, $3::timestamp AT TIME ZONE 'UTC',
                                $4::timestamp AT TIME ZONE 'UTC', $5, $6)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { events } => Ok(events),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("audit:read")),
    }
}
