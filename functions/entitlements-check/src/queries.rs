use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::operations::{EntitlementVerdict, EntitlementsCheckQuery};

/// Whether the feature may be used now.
pub async fn check(
    context: &Context,
    digest: TokenDigest,
    query: EntitlementsCheckQuery,
) -> Result<EntitlementVerdict, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        String::from(query.feature).into(),
        query.subject.map(String::from).into(),
        query.quantity.map(|quantity| quantity.0).into(),
    ];
    let sql = "SELECT entitlement_check($1, $2, $3, $4)::text";
    db::call(context, sql, &parameters, db::no_refusal_of_its_own).await
}
