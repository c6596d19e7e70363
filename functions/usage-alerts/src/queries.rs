use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::UsageAlertId;
use shared::mail;
use shared::store::db;
use shared::token::TokenDigest;

use crate::definition::Input;
use crate::handler::{Alert, Firing, Refusal};

/// Most alerts that are active. A batch adds to the total of each one that looks at
/// something of it: at some 60 microseconds, 3 ms of the 25 that a batch of 1,000
/// events takes.
const MAX_ACTIVE: i32 = 50;

/// What holds the permission to make and archive alerts.
const MANAGE: &str = "usage_alerts:manage";
/// What holds the permission to see them.
const READ: &str = "usage:read";

/// An item of a list and its position.
#[derive(Debug, Deserialize)]
pub struct Row<T> {
    pub sequence: i64,
    #[serde(alias = "alert", alias = "firing")]
    pub item: T,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { rows: Vec<Row<Alert>> },
    Fired { rows: Vec<Row<Firing>> },
    Found { alert: Alert },
    Created { alert: Alert },
    Archived { alert: Alert },
    MeterUnknown,
    MeterNotAdditive,
    MeterArchived,
    UsageAlertLimit,
    TooManyMails { retry_after_secs: u32 },
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that the
    /// statement gives on success, to whoever needs `permission`.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::MeterUnknown => Refusal::MeterUnknown.into(),
            Self::MeterNotAdditive => Refusal::MeterNotAdditive.into(),
            Self::MeterArchived => Refusal::MeterArchived.into(),
            Self::UsageAlertLimit => Refusal::Limit {
                max_active: MAX_ACTIVE,
            }
            .into(),
            Self::TooManyMails { retry_after_secs } => mail::too_many_mails(retry_after_secs),
            Self::NotFound => Refusal::NotFound.into(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. }
            | Self::Fired { .. }
            | Self::Found { .. }
            | Self::Created { .. }
            | Self::Archived { .. } => Problem::internal(),
        }
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: UsageAlertId,
    input: &Input,
) -> Result<Alert, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        input.name.clone().into(),
        input.meter.clone().into(),
        input.subject.clone().into(),
        input.period.name().to_owned().into(),
        input.thresholds.clone().into(),
        input.email.clone().into(),
        MAX_ACTIVE.into(),
        mail::MAX_PER_EMAIL_PER_HOUR.into(),
    ];
    let sql = "SELECT usage_alert_create($1, $2, $3, $4, $5, $6, $7::text[]::numeric[], $8, $9, $10)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { alert } => Ok(alert),
        other => Err(other.into_problem(MANAGE)),
    }
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    id: UsageAlertId,
) -> Result<Alert, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    match db::call(
        context,
        "SELECT usage_alert_read($1, $2)::text",
        &parameters,
    )
    .await?
    {
        Answer::Found { alert } => Ok(alert),
        other => Err(other.into_problem(READ)),
    }
}

pub async fn archive(
    context: &Context,
    digest: TokenDigest,
    id: UsageAlertId,
) -> Result<Alert, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT usage_alert_archive($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Archived { alert } => Ok(alert),
        other => Err(other.into_problem(MANAGE)),
    }
}

/// The rows of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    page: Page,
) -> Result<Vec<Row<Alert>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT usage_alerts_list($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { rows } => Ok(rows),
        other => Err(other.into_problem(READ)),
    }
}

/// What fired, of one alert or of all: the rows of the page, and one more if there is
/// one.
pub async fn firings(
    context: &Context,
    digest: TokenDigest,
    of: Option<UsageAlertId>,
    page: Page,
) -> Result<Vec<Row<Firing>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        of.map(|id| id.as_uuid()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT usage_alert_firings_list($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Fired { rows } => Ok(rows),
        other => Err(other.into_problem(READ)),
    }
}
