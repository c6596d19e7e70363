use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::rating::Plan;
use shared::rating::plan_terms::{self, PlanTerms};
use shared::store::db;
use shared::token::TokenDigest;

use crate::kept_plans::{self, Kept};

const PERMISSION: &str = "plans:read";

/// A version of a plan.
#[derive(Debug)]
pub struct PlanVersion {
    pub plan_name: String,
    pub number: i32,
    pub plan: Rc<Plan>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Allowed,
    Found {
        plan_name: String,
        version: i32,
        version_id: String,
        /// None when they are those of the version that is known.
        terms: Option<Value>,
        terms_bytes: Option<usize>,
    },
    VersionNotFound,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    fn into_problem(self) -> Problem {
        match self {
            Self::VersionNotFound => plan_terms::version_not_found(),
            Self::NotFound => plan_terms::plan_not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(PERMISSION),
            Self::Allowed | Self::Found { .. } => Problem::internal(),
        }
    }
}

/// Refuses whoever may not have prices estimated.
pub async fn begin(context: &Context, digest: TokenDigest) -> Result<(), Problem> {
    let parameters = [digest.0.to_vec().into()];
    let sql = "SELECT pricing_estimate_begin($1)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Allowed => Ok(()),
        other => Err(other.into_problem()),
    }
}

/// A version of a plan, the newest one if none is named. One that this instance
/// knows is not read again, but whether it is the right one, and whether the token
/// may have it, is asked each time.
pub async fn read(
    context: &Context,
    digest: TokenDigest,
    code: String,
    number: Option<i32>,
) -> Result<PlanVersion, Problem> {
    let key = (code, number);
    let known = kept_plans::find(&key);
    let known_id = known.as_ref().map(|kept| kept.version_id.clone());
    let parameters = [
        digest.0.to_vec().into(),
        key.0.clone().into(),
        number.into(),
        known_id.unwrap_or_default().into(),
    ];
    let sql = "SELECT pricing_estimate_read($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found {
            plan_name,
            version,
            version_id,
            terms,
            terms_bytes,
        } => {
            let plan = match (terms, known) {
                (Some(terms), _) => {
                    let plan = PlanTerms::stored(terms)?.into_plan(&key.0, &plan_name);
                    let plan = Rc::new(plan);
                    let kept = Kept {
                        version_id,
                        plan: Rc::clone(&plan),
                    };
                    kept_plans::keep(key, kept, terms_bytes.unwrap_or_default());
                    plan
                }
                (None, Some(known)) => known.plan,
                (None, None) => return Err(Problem::internal()),
            };
            Ok(PlanVersion {
                plan_name,
                number: version,
                plan,
            })
        }
        other => Err(other.into_problem()),
    }
}
