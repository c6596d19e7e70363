use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::organizations;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Role};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { roles: Vec<Role> },
    Held { holder_ids: Vec<UserId> },
    Saved { role: Role },
    HoldersChanged,
    Deleted,
    PermissionUnknown,
    RoleExceedsOwn,
    RoleIsBuiltIn,
    RoleInUse,
    RoleLimit,
    RoleWidelyHeld,
    NotFound,
    Unauthenticated,
    Forbidden,
}

/// What became of a change.
pub enum Put {
    Saved(Role),
    /// Somebody holds the role who was not among the known holders.
    HoldersChanged,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::PermissionUnknown => handler::permission_unknown(),
            Self::RoleExceedsOwn => organizations::role_exceeds_own(),
            Self::RoleIsBuiltIn => organizations::role_is_built_in(),
            Self::RoleInUse => handler::role_in_use(),
            Self::RoleLimit => handler::role_limit(),
            Self::RoleWidelyHeld => handler::role_widely_held(),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. }
            | Self::Held { .. }
            | Self::Saved { .. }
            | Self::HoldersChanged
            | Self::Deleted => Problem::internal(),
        }
    }
}

pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<Vec<Role>, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT organization_roles($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { roles } => Ok(roles),
        other => Err(other.into_problem("organization:read")),
    }
}

/// Who holds the role.
pub async fn holders(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: &str,
    max_holders: i32,
) -> Result<Vec<UserId>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        name.to_owned().into(),
        max_holders.into(),
    ];
    let sql = "SELECT organization_role_holders($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Held { holder_ids } => Ok(holder_ids),
        other => Err(other.into_problem("roles:manage")),
    }
}

pub async fn put(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: &str,
    permissions: &[String],
    known_holders: &[UserId],
    max_roles: i32,
) -> Result<Put, Problem> {
    let known_holders: Vec<String> = known_holders
        .iter()
        .map(|holder| holder.as_uuid().to_string())
        .collect();
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        name.to_owned().into(),
        permissions.to_vec().into(),
        known_holders.into(),
        max_roles.into(),
    ];
    let sql = "SELECT organization_role_put($1, $2, $3, $4, $5::text[]::uuid[], $6)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Saved { role } => Ok(Put::Saved(role)),
        Answer::HoldersChanged => Ok(Put::HoldersChanged),
        other => Err(other.into_problem("roles:manage")),
    }
}

pub async fn delete(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    name: &str,
) -> Result<(), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        name.to_owned().into(),
    ];
    let sql = "SELECT organization_role_delete($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Deleted => Ok(()),
        other => Err(other.into_problem("roles:manage")),
    }
}
