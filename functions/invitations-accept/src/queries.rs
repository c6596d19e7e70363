use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::mail;
use shared::organizations::Organization;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{ROLE_GONE, WRONG_RECIPIENT};

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "wrong_recipient" => {
            WRONG_RECIPIENT.because("Sign in as the user whom the invitation was sent to.")
        }
        "role_gone" => ROLE_GONE.because("Ask for a new invitation."),
        _ => return mail::refuse(refused),
    })
}

pub async fn accept(
    context: &Context,
    digest: TokenDigest,
    invitation: TokenDigest,
) -> Result<Organization, Problem> {
    let parameters = [digest.0.to_vec().into(), invitation.0.to_vec().into()];
    let sql = "SELECT invitation_accept($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}
