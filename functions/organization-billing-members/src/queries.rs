use serde::Deserialize;
use shared::billing::org_billing::AllocationRow;
use shared::http::context::Context;
use shared::http::pagination::Page;
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::money::Currency;
use shared::organizations;
use shared::store::db;
use shared::token::TokenDigest;

/// A member as the database answers it; `sequence` is their place in the list.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub user_id: UserId,
    pub email: String,
    pub role: String,
    pub allocation: Option<AllocationRow>,
    pub sequence: i64,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Listed { members: Vec<Row> },
    NotFound,
    Unauthenticated,
    Forbidden,
}

/// The members of the page, and one more if there is one.
pub async fn list(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    currency: Currency,
    page: Page,
) -> Result<Vec<Row>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        currency.code().to_owned().into(),
        i32::try_from(page.limit).unwrap_or(i32::MAX).into(),
        page.after.map_or(i64::MAX, |cursor| cursor.0).into(),
    ];
    let sql = "SELECT organization_billing_members($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { members } => Ok(members),
        Answer::NotFound => Err(organizations::not_found()),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("billing:read")),
    }
}
