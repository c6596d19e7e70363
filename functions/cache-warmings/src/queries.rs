use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db;
use shared::token::TokenDigest;
use shared::warming::{Values, WarmingMode};

#[derive(Debug, Deserialize)]
struct Begun {
    organization_ids: Vec<OrganizationId>,
}

/// The organizations to warm, if the caller may.
pub async fn begin(
    context: &Context,
    digest: TokenDigest,
    mode: WarmingMode,
    days: i64,
    after: OrganizationId,
    limit: i64,
) -> Result<Vec<OrganizationId>, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        mode.as_str().to_owned().into(),
        // Both are small.
        i32::try_from(days).unwrap_or(i32::MAX).into(),
        after.as_uuid().into(),
        i32::try_from(limit).unwrap_or(i32::MAX).into(),
    ];
    let sql = "SELECT cache_warming_begin($1, $2, $3, $4, $5)::text";
    let begun: Begun = db::call(context, sql, &parameters, db::no_refusal_of_its_own).await?;
    Ok(begun.organization_ids)
}

/// The values of some organizations.
pub async fn values(
    context: &Context,
    mode: WarmingMode,
    organizations: &[OrganizationId],
) -> Result<Values, Problem> {
    let ids = organizations
        .iter()
        .map(|id| Some(id.as_uuid().to_string()));
    let parameters = [
        mode.as_str().to_owned().into(),
        db::Parameter::ArrayStr(ids.collect()),
    ];
    let sql = "SELECT cache_warmed_values($1, $2::text[]::uuid[])::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
