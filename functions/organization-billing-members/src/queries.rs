use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::BillingMember;

/// The members of the page, and one more if there is one: with what they may take in one currency,
/// or in all.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Option<Currency>,
    page: &Page,
) -> Result<Listed<Vec<BillingMember>>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.map(|currency| currency.code().to_owned()).into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.unwrap_or(i64::MAX).into(),
    ];
    let sql = "SELECT organization_billing_members($1, $2, $3, $4, $5)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}
