use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::PlanVersionId;
use shared::money::Currency;
use shared::rating::plan_terms::{self, MAX_PLAN_VERSIONS, NewPlanTerms, PlanCode, VersionNumber};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{PLAN_ARCHIVED, PlanVersion, PlanVersionSummary, VERSION_LIMIT};

/// A version that was asked for.
#[derive(Debug, Deserialize)]
pub struct Made {
    /// Whether it was made now. If not, the newest one has the same terms.
    pub is_new: bool,
    pub version: PlanVersion,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => plan_terms::plan_not_found(),
        "version_not_found" => plan_terms::version_not_found(),
        "plan_archived" => PLAN_ARCHIVED
            .because("An archived plan gets no new version. Take it from the archive first."),
        "version_limit" => VERSION_LIMIT.because(format!(
            "A plan has at most {MAX_PLAN_VERSIONS} versions. Make another plan."
        )),
        _ => return None,
    })
}

/// The versions of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    code: PlanCode,
    page: &Page,
) -> Result<Listed<Vec<PlanVersionSummary>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        String::from(code).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT plan_versions_list($1, $2, $3, $4)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    code: PlanCode,
    number: VersionNumber,
) -> Result<PlanVersion, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        String::from(code).into(),
        number.0.into(),
    ];
    let sql = "SELECT plan_version_read($1, $2, $3)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// Adds a version. Whether terms without a currency are right, the statement decides when it
/// knows the plan's.
pub async fn create(
    context: &Context,
    digest: TokenDigest,
    id: PlanVersionId,
    code: PlanCode,
    terms: &NewPlanTerms,
) -> Result<Made, Problem> {
    let currencies = match terms.currency {
        Some(currency) => vec![currency],
        None => terms.right_currencies(),
    };
    // Terms that are right in no currency are not sent.
    let document = match currencies.first() {
        Some(currency) => Some(stored(terms, *currency)?),
        None => None,
    };
    let codes: Vec<String> = currencies.iter().map(Currency::to_string).collect();
    let parameters = [
        digest.0.to_vec().into(),
        id.as_uuid().into(),
        String::from(code).into(),
        document.into(),
        codes.into(),
        MAX_PLAN_VERSIONS.into(),
    ];
    let sql = "SELECT plan_version_create($1, $2, $3, $4, $5, $6)::text";
    db::call(context, sql, &parameters, |refused| {
        match (refused.code.as_str(), refused.fact("plan_currency")) {
            ("other_currency", Some(currency)) => Some(wrong_in(terms, currency)),
            _ => refuse(refused),
        }
    })
    .await
}

/// The document that is stored, but for its currency, which is the plan's.
fn stored(terms: &NewPlanTerms, currency: Currency) -> Result<String, Problem> {
    let terms = terms.clone().priced_in(currency)?;
    serde_json::to_string(&terms).map_err(|_| Problem::internal())
}

/// What is wrong with terms for a plan in this currency.
fn wrong_in(terms: &NewPlanTerms, currency: Currency) -> Problem {
    match terms.currency {
        Some(_) => Problem::invalid_field(
            "currency",
            "mismatch",
            format!("must be {currency}, the currency of the plan"),
        ),
        None => match terms.clone().priced_in(currency) {
            Err(problem) => problem,
            Ok(_) => Problem::internal(),
        },
    }
}
