use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::UserId;

use crate::queries;

/// Longest event type in characters.
const MAX_EVENT_TYPE_CHARS: usize = 100;

/// One event, with the hash that chains it to the one before.
#[derive(Debug, Serialize, Deserialize)]
pub struct Event {
    pub sequence: i64,
    occurred_at: String,
    event_type: String,
    actor_id: Option<UserId>,
    subject: String,
    detail: serde_json::Value,
    hash: String,
    previous_hash: String,
}

/// Which events are wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    pub event_type: Option<String>,
    pub since: Option<NaiveDateTime>,
    pub until: Option<NaiveDateTime>,
}

#[derive(Debug, Serialize)]
struct Output {
    events: Vec<Event>,
    next_cursor: Option<String>,
}

fn time(name: &'static str, text: Option<&str>) -> Result<Option<NaiveDateTime>, Problem> {
    text.map(|text| {
        DateTime::parse_from_rfc3339(text)
            .map(|time| time.naive_utc())
            .map_err(|_| Problem::invalid_parameter(name, "invalid", "must be an RFC 3339 time"))
    })
    .transpose()
}

fn filter(
    event_type: Option<&str>,
    since: Option<&str>,
    until: Option<&str>,
) -> Result<Filter, Problem> {
    if event_type.is_some_and(|text| text.is_empty() || text.chars().count() > MAX_EVENT_TYPE_CHARS)
    {
        return Err(Problem::invalid_parameter(
            "event_type",
            "wrong_length",
            format!("must have 1 to {MAX_EVENT_TYPE_CHARS} characters"),
        ));
    }
    Ok(Filter {
        event_type: event_type.map(str::to_owned),
        since: time("since", since)?,
        until: time("until", until)?,
    })
}

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let page: Page = request.page()?;
    let filter = filter(
        request.query_parameter("event_type")?.as_deref(),
        request.query_parameter("since")?.as_deref(),
        request.query_parameter("until")?.as_deref(),
    )?;
    let mut events = queries::list(context, token.digest, &filter, page).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = events.len() > limit;
    events.truncate(limit);
    let last = events.last().map(|event| Cursor(event.sequence).encode());
    Reply::json(
        200,
        &Output {
            events,
            next_cursor: last.filter(|_| has_more),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let long = "x".repeat(101);
        let table = [
            ((None, None, None), Ok(())),
            (
                (
                    Some("session.opened"),
                    Some("2026-01-01T00:00:00Z"),
                    Some("2026-01-02T00:00:00.5+02:00"),
                ),
                Ok(()),
            ),
            ((Some(""), None, None), Err("event_type")),
            ((Some(long.as_str()), None, None), Err("event_type")),
            ((None, Some("yesterday"), None), Err("since")),
            ((None, Some("2026-01-01"), None), Err("since")),
            ((None, None, Some("2026-13-01T00:00:00Z")), Err("until")),
        ];
        for ((event_type, since, until), expected) in table {
            let got = filter(event_type, since, until)
                .map(|_| ())
                .map_err(|p| p.errors[0].field.clone());
            assert_eq!(
                got,
                expected.map_err(Into::into),
                "{event_type:?} {since:?} {until:?}"
            );
        }
    }
}
