use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{self, Changed};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Changed(Changed),
    NotFound,
    Unauthenticated,
    SessionRequired,
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<Changed, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT auth_organization_change($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Changed(changed) => Ok(changed),
        Answer::NotFound => Err(handler::not_found()),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::SessionRequired => Err(Problem::session_required()),
    }
}
