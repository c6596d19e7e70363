use serde::Deserialize;
use serde_json::Value;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::PlanVersionId;
use shared::money::Currency;
use shared::rating::plan_terms::{self, MAX_PLAN_VERSIONS, PlanTerms};
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Summary, Version};

/// A version that was asked for.
pub enum Created {
    /// Made now.
    New(Version),
    /// The newest is the same.
    Before(Version),
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { versions: Vec<Summary> },
    Found { version: Summary, terms: Value },
    Created { version: Summary, terms: Value },
    Unchanged { version: Summary, terms: Value },
    Currency { currency: Currency },
    OtherCurrency { currency: String },
    PlanArchived,
    VersionLimit,
    VersionNotFound,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::OtherCurrency { currency } => handler::other_currency(&currency),
            Self::PlanArchived => handler::plan_archived(),
            Self::VersionLimit => handler::version_limit(),
            Self::VersionNotFound => plan_terms::version_not_found(),
            Self::NotFound => plan_terms::plan_not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Listed { .. }
            | Self::Found { .. }
            | Self::Currency { .. }
            | Self::Created { .. }
            | Self::Unchanged { .. } => Problem::internal(),
        }
    }
}

/// The versions of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    code: &str,
    page: Page,
) -> Result<Vec<Summary>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        code.to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT plan_versions_list($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { versions } => Ok(versions),
        other => Err(other.into_problem("plans:read")),
    }
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    code: &str,
    number: i32,
) -> Result<Version, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        code.to_owned().into(),
        number.into(),
    ];
    let sql = "SELECT plan_version_read($1, $2, $3)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { version, terms } => Ok(Version {
            summary: version,
            terms,
        }),
        other => Err(other.into_problem("plans:read")),
    }
}

/// The currency of a plan, which never changes.
pub async fn currency(
    context: &Context,
    digest: TokenDigest,
    code: &str,
) -> Result<Currency, Problem> {
    let parameters = [digest.0.to_vec().into(), code.to_owned().into()];
    let sql = "SELECT plan_currency($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Currency { currency } => Ok(currency),
        other => Err(other.into_problem("plans:manage")),
    }
}

pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: PlanVersionId,
    code: &str,
    terms: &PlanTerms,
) -> Result<Created, Problem> {
    let terms = serde_json::to_string(terms).map_err(|_| Problem::internal())?;
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        code.to_owned().into(),
        terms.into(),
        MAX_PLAN_VERSIONS.into(),
    ];
    let sql = "SELECT plan_version_create($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { version, terms } => Ok(Created::New(Version {
            summary: version,
            terms,
        })),
        Answer::Unchanged { version, terms } => Ok(Created::Before(Version {
            summary: version,
            terms,
        })),
        other => Err(other.into_problem("plans:manage")),
    }
}
