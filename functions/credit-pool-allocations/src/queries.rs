use serde::Deserialize;
use shared::billing::org_billing::{Allocation, AllocationRow};
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;
use shared::organizations;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Input, MAX_ALLOCATIONS};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { allocations: Vec<AllocationRow> },
    Saved { allocation: AllocationRow },
    Removed,
    AllocationLimit,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self) -> Problem {
        match self {
            Self::AllocationLimit => handler::allocation_limit(),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden("pool:manage"),
            Self::Listed { .. } | Self::Saved { .. } | Self::Removed => Problem::internal(),
        }
    }
}

/// The allocations of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Currency,
    page: Page,
) -> Result<Vec<AllocationRow>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT credit_pool_allocations_list($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { allocations } => Ok(allocations),
        other => Err(other.into_problem()),
    }
}

pub async fn put(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
    input: &Input,
) -> Result<Allocation, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
        input.limit.currency().code().to_owned().into(),
        input.limit.amount().into(),
        input.reset.clone().into(),
        MAX_ALLOCATIONS.into(),
    ];
    let sql = "SELECT credit_pool_allocation_put($1, $2, $3, $4, $5, $6, $7)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Saved { allocation } => Ok(allocation.into()),
        other => Err(other.into_problem()),
    }
}

pub async fn remove(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
    currency: Currency,
) -> Result<(), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
        currency.code().to_owned().into(),
    ];
    let sql = "SELECT credit_pool_allocation_delete($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Removed => Ok(()),
        other => Err(other.into_problem()),
    }
}
