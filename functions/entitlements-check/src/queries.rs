use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{Query, Verdict};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Checked(Verdict),
    Unauthenticated,
    Forbidden,
}

/// Whether the feature may be used now.
pub async fn check(
    context: &Context,
    digest: TokenDigest,
    query: &Query,
) -> Result<Verdict, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        query.feature.clone().into(),
        query.subject.clone().into(),
        query.quantity.into(),
    ];
    let sql = "SELECT entitlement_check($1, $2, $3, $4)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Checked(verdict) => Ok(verdict),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("entitlements:read")),
    }
}
