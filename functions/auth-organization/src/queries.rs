use shared::auth::session::{ACCESS_TTL_SECS, REFRESH_TTL_SECS, Session, TokenPair};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::SessionId;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

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
    session_id: SessionId,
    pair: &TokenPair,
) -> Result<Session, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        session_id.as_uuid().into(),
        pair.access_digest().0.to_vec().into(),
        pair.refresh_digest().0.to_vec().into(),
        ACCESS_TTL_SECS.into(),
        REFRESH_TTL_SECS.into(),
    ];
    let sql = "SELECT auth_organization_change($1, $2, $3, $4, $5, $6)::text";
    db::call(context, sql, &parameters, refuse).await
}
