use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::MeterId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::definition::Input;
use crate::handler::{self, Meter};

/// Most meters that count: each is looked at for each event of its type.
const MAX_ACTIVE: i32 = 50;

/// Most meters with those that are archived, which a list shows too.
const MAX_EVER: i32 = 200;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { meters: Vec<Meter> },
    Found { meter: Meter },
    Created { meter: Meter },
    Archived { meter: Meter },
    MeterExists,
    MeterLimit,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::MeterExists => handler::meter_exists(),
            Self::MeterLimit => handler::meter_limit(MAX_ACTIVE, MAX_EVER),
            Self::NotFound => handler::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. }
            | Self::Found { .. }
            | Self::Created { .. }
            | Self::Archived { .. } => Problem::internal(),
        }
    }
}

pub async fn list(context: &Context, digest: TokenDigest) -> Result<Vec<Meter>, Problem> {
    let parameters = [digest.0.to_vec().into()];
    match db::call(context, "SELECT meters_list($1)::text", &parameters).await? {
        Answer::Listed { meters } => Ok(meters),
        other => Err(other.into_problem("usage:read")),
    }
}

pub async fn read(context: &Context, digest: TokenDigest, slug: &str) -> Result<Meter, Problem> {
    let parameters = [digest.0.to_vec().into(), slug.to_owned().into()];
    match db::call(context, "SELECT meter_read($1, $2)::text", &parameters).await? {
        Answer::Found { meter } => Ok(meter),
        other => Err(other.into_problem("usage:read")),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: MeterId,
    input: &Input,
) -> Result<Meter, Problem> {
    let filters = serde_json::to_string(&input.filters).map_err(|_| Problem::internal())?;
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        input.slug.clone().into(),
        input.event_type.clone().into(),
        input.aggregation.name().to_owned().into(),
        input.value_property.clone().into(),
        input.group_by.clone().into(),
        filters.into(),
        MAX_ACTIVE.into(),
        MAX_EVER.into(),
    ];
    let sql = "SELECT meter_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { meter } => Ok(meter),
        other => Err(other.into_problem("meters:manage")),
    }
}

pub async fn archive(context: &Context, digest: TokenDigest, slug: &str) -> Result<Meter, Problem> {
    let parameters = [digest.0.to_vec().into(), slug.to_owned().into()];
    match db::call(context, "SELECT meter_archive($1, $2)::text", &parameters).await? {
        Answer::Archived { meter } => Ok(meter),
        other => Err(other.into_problem("meters:manage")),
    }
}
