use serde::Deserialize;
use shared::credits::Allocation;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{ALLOCATION_LIMIT, AllocationRemoved, NewAllocation};

/// Most allocations of an organization in one currency. The pool's answer sums
/// them: 10,000 rows at some 1.5 microseconds are 15 of the 1,500 milliseconds that
/// a statement has.
const MAX_ALLOCATIONS: i32 = 10_000;

/// An allocation and its place in the list.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub sequence: i64,
    pub allocation: Allocation,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "allocation_limit" => Some(ALLOCATION_LIMIT.because(format!(
            "An organization has at most {MAX_ALLOCATIONS} allocations in one currency."
        ))),
        _ => None,
    }
}

/// The allocations of the page, and one more if there is one: in one currency, or in all.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Option<Currency>,
    page: &Page,
) -> Result<Listed<Vec<Row>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.map(|currency| currency.code().to_owned()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT credit_pool_allocations_list($1, $2, $3, $4, $5)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}

pub async fn put(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
    allocation: &NewAllocation,
) -> Result<Allocation, Problem> {
    let limit = allocation.limit.0;
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
        limit.currency().code().to_owned().into(),
        limit.amount().into(),
        allocation.reset.as_str().to_owned().into(),
        MAX_ALLOCATIONS.into(),
    ];
    let sql = "SELECT credit_pool_allocation_put($1, $2, $3, $4, $5, $6, $7)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn remove(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    user_id: UserId,
    currency: Currency,
) -> Result<AllocationRemoved, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        user_id.as_uuid().into(),
        currency.code().to_owned().into(),
    ];
    let sql = "SELECT credit_pool_allocation_delete($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
