use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler;

/// Until when an organization's usage is closed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Period {
    organization_id: OrganizationId,
    /// Absent before the first time.
    until: Option<String>,
    /// When every event before `until` is there, or will be marked.
    settled_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { period: Period },
    Closed { period: Period },
    PeriodClosed { until: String },
    TooFarAhead,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that the
    /// statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::PeriodClosed { until } => handler::period_closed(&until),
            Self::TooFarAhead => handler::too_far_ahead(),
            Self::NotFound => handler::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("usage:close"),
            Self::Found { .. } | Self::Closed { .. } => Problem::internal(),
        }
    }
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<Period, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT usage_closed_period_read($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { period } => Ok(period),
        other => Err(other.into_problem()),
    }
}

pub async fn close(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    until: NaiveDateTime,
) -> Result<Period, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        until.into(),
    ];
    let sql = "SELECT usage_closed_period_put($1, $2, $3::timestamp AT TIME ZONE 'UTC')::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Closed { period } => Ok(period),
        other => Err(other.into_problem()),
    }
}
