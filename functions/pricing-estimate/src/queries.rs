use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::rating::Plan;
use shared::rating::plan_terms::{self, PlanCode, PlanName, PlanTerms};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::kept_plans::{self, Kept};
use crate::operations::EstimatedVersion;

/// A version of a plan, and what it charges.
#[derive(Debug)]
pub struct PlanVersion {
    pub version: EstimatedVersion,
    pub plan: Rc<Plan>,
}

/// A version as the database has it.
#[derive(Deserialize)]
struct Found {
    plan_name: PlanName,
    version: i32,
    version_id: String,
    /// None when they are those of the version that is known.
    terms: Option<Value>,
    terms_bytes: Option<usize>,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => plan_terms::plan_not_found(),
        "version_not_found" => plan_terms::version_not_found(),
        _ => return None,
    })
}

/// Refuses whoever may not have prices estimated.
pub async fn begin(context: &Context, digest: TokenDigest) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "SELECT pricing_estimate_begin($1)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// A version of a plan, the newest one if none is named. One that this instance
/// knows is not read again, but whether it is the right one, and whether the token
/// may have it, is asked each time.
pub async fn read(
    context: &Context,
    digest: TokenDigest,
    code: PlanCode,
    number: Option<i32>,
) -> Result<PlanVersion, Problem> {
    let key = (code.to_string(), number);
    let known = kept_plans::find(&key);
    let known_id = known.as_ref().map(|kept| kept.version_id.clone());
    let parameters = [
        digest.0.to_vec().into(),
        key.0.clone().into(),
        number.into(),
        known_id.unwrap_or_default().into(),
    ];
    let sql = "SELECT pricing_estimate_read($1, $2, $3, $4)::text";
    let found: Found = db::call(context, sql, &parameters, refuse).await?;
    let plan = match (found.terms, known) {
        (Some(terms), _) => {
            let plan = PlanTerms::stored(&terms)?.into_plan(&code, &found.plan_name);
            let plan = Rc::new(plan);
            let kept = Kept {
                version_id: found.version_id,
                plan: Rc::clone(&plan),
            };
            kept_plans::keep(key, kept, found.terms_bytes.unwrap_or_default());
            plan
        }
        (None, Some(known)) => known.plan,
        (None, None) => return Err(Problem::internal()),
    };
    let version = EstimatedVersion {
        code,
        name: found.plan_name,
        version: found.version,
    };
    Ok(PlanVersion { version, plan })
}
