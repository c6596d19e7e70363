use serde::Deserialize;
use shared::context::Context;
use shared::db;
use shared::ids::{OrganizationId, UserId};
use shared::organizations::{self, Organization};
use shared::problem::Problem;
use shared::token::TokenDigest;

use crate::handler;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { organizations: Vec<Organization> },
    Created { organization: Organization },
    Found { organization: Organization },
    Renamed(Renamed),
    OrganizationLimit,
    NotFound,
    Unauthenticated,
    SessionRequired,
    Forbidden,
}

/// An organization with its new name, and everybody who may know the old one.
#[derive(Deserialize)]
pub struct Renamed {
    pub organization: Organization,
    pub member_ids: Vec<UserId>,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::OrganizationLimit => handler::organization_limit(),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::SessionRequired => Problem::session_required(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. } | Self::Created { .. } | Self::Found { .. } | Self::Renamed(_) => {
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

pub async fn rename(
    context: &Context,
    digest: TokenDigest,
    id: OrganizationId,
    name: &str,
) -> Result<Renamed, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        name.to_owned().into(),
    ];
    let sql = "SELECT organization_rename($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Renamed(renamed) => Ok(renamed),
        other => Err(other.into_problem("organization:manage")),
    }
}
