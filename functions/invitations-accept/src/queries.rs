use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::mail;
use shared::organizations::Organization;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler;

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Accepted { organization: Organization },
    WrongRecipient,
    RoleGone,
    NotFound,
    Unauthenticated,
    SessionRequired,
}

pub async fn accept(
    context: &Context,
    digest: TokenDigest,
    invitation: TokenDigest,
) -> Result<Organization, Problem> {
    let parameters = [digest.0.to_vec().into(), invitation.0.to_vec().into()];
    let sql = "SELECT invitation_accept($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Accepted { organization } => Ok(organization),
        Answer::WrongRecipient => Err(handler::wrong_recipient()),
        Answer::RoleGone => Err(handler::role_gone()),
        Answer::NotFound => Err(mail::invalid_token()),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::SessionRequired => Err(Problem::session_required()),
    }
}
