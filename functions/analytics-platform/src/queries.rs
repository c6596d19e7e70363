use shared::billing::analytics;
use shared::billing::revenue_place::RevenuePlace;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{OrganizationFigures, PlatformFigures};

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "settlement_pending" => Some(analytics::settlement_pending()),
        _ => None,
    }
}

/// The figures of the period, with at most `max_plans` plans.
pub async fn figures(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    period: Period,
    max_plans: i32,
) -> Result<PlatformFigures, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        period.since.into(),
        period.until.into(),
        max_plans.into(),
    ];
    let sql = "SELECT analytics_platform($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, refuse).await
}

/// The organizations of the page, and one more if there is one.
pub async fn organizations(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    page: &Page<RevenuePlace>,
) -> Result<Listed<Vec<OrganizationFigures>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map(|place| place.mrr).into(),
        page.after
            .map(|place| place.organization_id.as_uuid())
            .into(),
    ];
    let sql = "SELECT analytics_organizations($1, $2, $3, $4, $5)::text, cursor_key()";
    db::list(context, sql, &parameters, refuse).await
}
