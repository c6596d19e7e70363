use serde::Deserialize;
use serde_json::Value;
use shared::context::Context;
use shared::db;
use shared::plan_terms::{self, PlanTerms};
use shared::problem::Problem;
use shared::token::TokenDigest;

const PERMISSION: &str = "plans:read";

/// A version of a plan.
#[derive(Debug)]
pub struct PlanVersion {
    pub plan_name: String,
    pub number: i32,
    pub terms: PlanTerms,
}

#[derive(Deserialize)]
struct Summary {
    version: i32,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Allowed,
    Found {
        plan_name: String,
        version: Summary,
        terms: Value,
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

/// A version of a plan, the newest one if none is named.
pub async fn read(
    context: &Context,
    digest: TokenDigest,
    code: &str,
    version: Option<i32>,
) -> Result<PlanVersion, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        code.to_owned().into(),
        version.into(),
    ];
    let sql = "SELECT plan_version_read($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found {
            plan_name,
            version,
            terms,
        } => Ok(PlanVersion {
            plan_name,
            number: version.version,
            terms: PlanTerms::stored(terms)?,
        }),
        other => Err(other.into_problem()),
    }
}
