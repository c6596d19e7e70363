//! An alert fires in the transaction of the batch of events that reaches one of its
//! thresholds, so there is nothing here that fires but the making of one whose
//! threshold has been reached already. An alert does not change: it is archived, and
//! another one made.

use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::pagination::{Cursor, Page};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::UsageAlertId;
use shared::token::TokenDigest;

use crate::definition::{self, Period};
use crate::queries::{self, Row};

const COLLECTION: &str = "/api/v1/usage/alerts";

/// An alert as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alert {
    id: UsageAlertId,
    name: String,
    /// The name of the meter.
    meter: String,
    subject: Option<String>,
    period: Period,
    thresholds: Vec<String>,
    email: Option<String>,
    created_at: String,
    archived_at: Option<String>,
}

/// A threshold that was reached.
#[derive(Debug, Serialize, Deserialize)]
pub struct Firing {
    alert_id: UsageAlertId,
    threshold: String,
    /// What had been counted at that moment.
    value: String,
    period_started_at: String,
    period_ends_at: String,
    fired_at: String,
}

#[derive(Serialize)]
struct Output {
    alert: Alert,
}

#[derive(Debug, Serialize)]
struct Listed {
    alerts: Vec<Alert>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Fired {
    firings: Vec<Firing>,
    next_cursor: Option<String>,
}

/// Why no alert was made, or none is shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    NotFound,
    MeterUnknown,
    MeterNotAdditive,
    MeterArchived,
    Limit { max_active: i32 },
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found("The organization has no alert with this id."),
            Refusal::MeterUnknown => {
                Self::invalid_field("meter", "unknown", "is not a meter of the organization")
            }
            Refusal::MeterNotAdditive => Self::invalid_field(
                "meter",
                "not_additive",
                "must be a meter whose aggregation is count or sum",
            ),
            Refusal::MeterArchived => {
                Self::invalid_field("meter", "archived", "is archived and counts no more")
            }
            Refusal::Limit { max_active } => Self::new(
                409,
                "usage_alert_limit",
                "The organization has as many alerts as it can have",
                format!("At most {max_active} are active. Archive one that is not needed."),
            ),
        }
    }
}

/// What the path names. An id is read only after the caller's token.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Collection,
    Alert(&'a str),
    FiringsOf(&'a str),
    Firings,
}

fn target(path: &str) -> Target<'_> {
    let Some(rest) = path.strip_prefix(COLLECTION) else {
        return Target::Firings;
    };
    match rest.strip_prefix('/') {
        None => Target::Collection,
        Some(rest) => match rest.strip_suffix("/firings") {
            Some(id) => Target::FiringsOf(id),
            None => Target::Alert(rest),
        },
    }
}

/// The methods of a path.
pub fn allow(path: &str) -> &'static str {
    match target(path) {
        Target::Collection => "GET, POST",
        Target::Alert(_) => "GET, DELETE",
        Target::FiringsOf(_) | Target::Firings => "GET",
    }
}

fn id(text: &str) -> Result<UsageAlertId, Problem> {
    text.parse().map_err(|_| Refusal::NotFound.into())
}

/// The items of the page, of which there is one more than asked for when more follow,
/// and the cursor of the next page.
fn cut<T>(page: Page, mut rows: Vec<Row<T>>) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Cursor(row.sequence).encode());
    let items = rows.into_iter().map(|row| row.item).collect();
    (items, last.filter(|_| has_more))
}

pub async fn alerts(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let digest = request.access_token()?.digest;
    let is_get = matches!(request.method(), Method::Get);
    let alert = match target(request.path()) {
        Target::Collection if is_get => {
            let page = request.page()?;
            let rows = queries::list(context, digest, page).await?;
            let (alerts, next_cursor) = cut(page, rows);
            return Reply::json(
                200,
                &Listed {
                    alerts,
                    next_cursor,
                },
            );
        }
        Target::Collection => {
            let (fields, _) = request.json_fields().await?;
            let input = definition::read(fields)?;
            let id = UsageAlertId::new(context.now_millis(), &context.random()?);
            let alert = queries::create(context, digest, id, &input).await?;
            return Reply::json(201, &Output { alert });
        }
        Target::Alert(text) if is_get => queries::read(context, digest, id(text)?).await?,
        Target::Alert(text) => queries::archive(context, digest, id(text)?).await?,
        Target::FiringsOf(text) => {
            return firings(context, request, digest, Some(id(text)?)).await;
        }
        Target::Firings => return firings(context, request, digest, None).await,
    };
    Reply::json(200, &Output { alert })
}

async fn firings(
    context: &Context,
    request: &Request,
    digest: TokenDigest,
    of: Option<UsageAlertId>,
) -> Result<Reply, Problem> {
    let page = request.page()?;
    let rows = queries::firings(context, digest, of, page).await?;
    let (firings, next_cursor) = cut(page, rows);
    Reply::json(
        200,
        &Fired {
            firings,
            next_cursor,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let table = [
            ("alerts", Target::Collection, "GET, POST"),
            ("alerts/ual_1", Target::Alert("ual_1"), "GET, DELETE"),
            ("alerts/", Target::Alert(""), "GET, DELETE"),
            ("alerts/ual_1/firings", Target::FiringsOf("ual_1"), "GET"),
            ("alert-firings", Target::Firings, "GET"),
        ];
        for (rest, expected, methods) in table {
            let path = format!("/api/v1/usage/{rest}");
            assert_eq!(target(&path), expected, "{path}");
            assert_eq!(allow(&path), methods, "{path}");
        }
    }

    #[test]
    fn a_page_ends_where_it_was_asked_to() {
        let page = Page {
            limit: 2,
            after: None,
        };
        let rows = |count: i64| {
            let row = |n| Row {
                sequence: 10 - n,
                item: n,
            };
            (0..count).map(row).collect::<Vec<_>>()
        };
        assert_eq!(cut(page, rows(0)), (vec![], None));
        assert_eq!(cut(page, rows(2)), (vec![0, 1], None));
        assert_eq!(
            cut(page, rows(3)),
            (vec![0, 1], Some(Cursor(9).encode())),
            "the cursor is the last one's that is shown"
        );
    }

    #[test]
    fn refusals() {
        let table = [
            (Refusal::NotFound, 404, "not_found", None),
            (
                Refusal::MeterUnknown,
                422,
                "invalid_fields",
                Some("unknown"),
            ),
            (
                Refusal::MeterNotAdditive,
                422,
                "invalid_fields",
                Some("not_additive"),
            ),
            (
                Refusal::MeterArchived,
                422,
                "invalid_fields",
                Some("archived"),
            ),
            (
                Refusal::Limit { max_active: 50 },
                409,
                "usage_alert_limit",
                None,
            ),
        ];
        for (refusal, status, code, of_meter) in table {
            let text = format!("{refusal:?}");
            let problem = Problem::from(refusal);
            assert_eq!((problem.status, problem.code), (status, code), "{text}");
            let error = problem.errors.first();
            assert_eq!(error.map(|error| error.code), of_meter, "{text}");
            assert!(error.is_none_or(|error| error.field == "meter"), "{text}");
        }
    }
}
