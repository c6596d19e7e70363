use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::PlanId;
use shared::rating::plan_terms::{self, PlanCode};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{NewPlan, PLAN_EXISTS, Plan, PlanChange, PlanShown};

/// A plan that was asked for.
#[derive(Debug, Deserialize)]
pub struct Made {
    /// Whether it was made now.
    pub is_new: bool,
    #[serde(flatten)]
    pub shown: PlanShown,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => plan_terms::plan_not_found(),
        "plan_exists" => {
            PLAN_EXISTS.because("A code is used once, by an archived plan too. Choose another one.")
        }
        _ => return None,
    })
}

/// The plans of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    page: &Page,
) -> Result<Listed<Vec<Plan>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT plans_list($1, $2, $3)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    code: PlanCode,
) -> Result<PlanShown, Problem> {
    let parameters = [digest.0.to_vec().into(), String::from(code).into()];
    let sql = "SELECT plan_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: PlanId,
    plan: NewPlan,
) -> Result<Made, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        String::from(plan.code).into(),
        String::from(plan.name).into(),
        plan.currency.code().to_owned().into(),
        plan.billing_period.as_str().to_owned().into(),
    ];
    let sql = "SELECT plan_create($1, $2, $3, $4, $5, $6)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    code: PlanCode,
    change: PlanChange,
) -> Result<PlanShown, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        String::from(code).into(),
        change.name.map(String::from).into(),
        change.archived.into(),
    ];
    let sql = "SELECT plan_change($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, refuse).await
}
