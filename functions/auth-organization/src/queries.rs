use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::SessionOrganization;

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "not_found" => Some(Problem::not_found(
            "You belong to no organization with this id.",
        )),
        _ => None,
    }
}

pub async fn change(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<SessionOrganization, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT auth_organization_change($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
