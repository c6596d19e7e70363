use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{self, Organization};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Change};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { organizations: Vec<Organization> },
    Created { organization: Organization },
    Found { organization: Organization },
    Changed(Changed),
    OrganizationLimit,
    TimeZoneUnknown,
    NotFound,
    Unauthenticated,
    SessionRequired,
    Forbidden,
}

/// A changed organization, and everybody who may know its old name.
#[derive(Deserialize)]
pub struct Changed {
    pub organization: Organization,
    pub member_ids: Vec<UserId>,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::OrganizationLimit => handler::organization_limit(),
            Self::TimeZoneUnknown => organizations::time_zone_unknown(),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::SessionRequired => Problem::session_required(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. } | Self::Created { .. } | Self::Found { .. } | Self::Changed(_) => {
                Problem::internal()
            }
        }
    }
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    limit: i32,
) -> Result<Vec<Organization>, Problem> {
    let parameters = [digest.0.to_vec().into(), limit.into()];
    let sql = "SELECT organizations_list($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { organizations } => Ok(organizations),
        other => Err(other.into_problem("")),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
    name: &str,
    max_owned: i32,
) -> Result<Organization, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        name.to_owned().into(),
        max_owned.into(),
    ];
    let sql = "SELECT organization_create($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { organization } => Ok(organization),
        other => Err(other.into_problem("")),
    }
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
) -> Result<Organization, Problem> {
    let parameters = [digest.0.to_vec().into(), id.as_uuid().into()];
    let sql = "SELECT organization_read($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { organization } => Ok(organization),
        other => Err(other.into_problem("organization:read")),
    }
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
    change: &Change,
) -> Result<Changed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        change.name.clone().into(),
        change.time_zone.clone().into(),
    ];
    let sql = "SELECT organization_change($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Changed(changed) => Ok(changed),
        other => Err(other.into_problem("organization:manage")),
    }
}
