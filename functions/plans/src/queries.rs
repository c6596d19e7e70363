use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::PlanId;
use shared::rating::plan_terms;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Change, Input, Plan};

/// A plan that was asked for.
pub enum Created {
    /// Made now.
    New(Plan),
    /// There was the same before.
    Before(Plan),
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { plans: Vec<Plan> },
    Found { plan: Plan },
    Created { plan: Plan },
    Unchanged { plan: Plan },
    Saved { plan: Plan },
    PlanExists,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::PlanExists => handler::plan_exists(),
            Self::NotFound => plan_terms::plan_not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. }
            | Self::Found { .. }
            | Self::Created { .. }
            | Self::Unchanged { .. }
            | Self::Saved { .. } => Problem::internal(),
        }
    }
}

/// The plans of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    page: Page,
) -> Result<Vec<Plan>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT plans_list($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { plans } => Ok(plans),
        other => Err(other.into_problem("plans:read")),
    }
}

pub async fn read(context: &Context, digest: TokenDigest, code: &str) -> Result<Plan, Problem> {
    let parameters = [digest.0.to_vec().into(), code.to_owned().into()];
    match db::call(context, "SELECT plan_read($1, $2)::text", &parameters).await? {
        Answer::Found { plan } => Ok(plan),
        other => Err(other.into_problem("plans:read")),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: PlanId,
    input: &Input,
) -> Result<Created, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        input.code.clone().into(),
        input.name.clone().into(),
        input.currency.code().to_owned().into(),
        input.billing_period.name().to_owned().into(),
    ];
    let sql = "SELECT plan_create($1, $2, $3, $4, $5, $6)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { plan } => Ok(Created::New(plan)),
        Answer::Unchanged { plan } => Ok(Created::Before(plan)),
        other => Err(other.into_problem("plans:manage")),
    }
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    code: &str,
    change: &Change,
) -> Result<Plan, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        code.to_owned().into(),
        change.name.clone().into(),
        change.archived.into(),
    ];
    let sql = "SELECT plan_change($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Saved { plan } => Ok(plan),
        other => Err(other.into_problem("plans:manage")),
    }
}
