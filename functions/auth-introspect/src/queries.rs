use serde::Deserialize;
use shared::context::Context;
use shared::db;
use shared::ids::OrganizationId;
use shared::problem::Problem;
use shared::token::TokenDigest;

use crate::handler::{Caller, Subject};

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Answered {
        caller_organization_id: OrganizationId,
        caller_expires_millis: Option<u64>,
        subject: Option<Subject>,
    },
    Unauthenticated,
    Forbidden,
}

pub struct Found {
    pub caller: Caller,
    pub caller_expires_millis: Option<u64>,
    pub subject: Option<Subject>,
}

pub async fn introspect(
    context: &Context,
    caller: TokenDigest,
    subject: TokenDigest,
) -> Result<Found, Problem> {
    let parameters = [caller.0.to_vec().into(), subject.0.to_vec().into()];
    match db::call(context, "SELECT auth_introspect($1, $2)::text", &parameters).await? {
        Answer::Answered {
            caller_organization_id,
            caller_expires_millis,
            subject,
        } => Ok(Found {
            caller: Caller {
                organization_id: caller_organization_id,
            },
            caller_expires_millis,
            subject,
        }),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("tokens:introspect")),
    }
}
