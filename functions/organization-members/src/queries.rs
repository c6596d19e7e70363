use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::organizations;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Member};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { members: Vec<Member> },
    Changed { member: Member },
    Removed,
    RoleUnknown,
    RoleExceedsOwn,
    LastOwner,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::RoleUnknown => organizations::role_unknown(),
            Self::RoleExceedsOwn => organizations::role_exceeds_own(),
            Self::LastOwner => handler::last_owner(),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. } | Self::Changed { .. } | Self::Removed => Problem::internal(),
        }
    }
}

/// The members of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    page: Page,
) -> Result<Vec<Member>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT organization_members($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { members } => Ok(members),
        other => Err(other.into_problem("organization:read")),
    }
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
    role: &str,
) -> Result<Member, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
        role.to_owned().into(),
    ];
    let sql = "SELECT organization_member_change($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Changed { member } => Ok(member),
        other => Err(other.into_problem("members:manage")),
    }
}

pub async fn remove(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<(), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
    ];
    let sql = "SELECT organization_member_remove($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Removed => Ok(()),
        other => Err(other.into_problem("members:manage")),
    }
}
