use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::time::{Moment, Time};
use shared::ids::OrganizationId;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::{PERIOD_CLOSED, UsageClosedPeriod};

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "not_found" => not_found(),
        "too_far_ahead" => {
            Problem::invalid_field("until", "too_far_ahead", "must not be in the future")
        }
        "period_closed" => {
            let until: Time = refused.fact("until")?;
            PERIOD_CLOSED.because(format!(
                "It is closed until {until}, and what is closed stays so."
            ))
        }
        _ => return None,
    })
}

/// 404: there is no such organization.
pub fn not_found() -> Problem {
    Problem::not_found("There is no organization with this id.")
}

pub async fn read(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<UsageClosedPeriod, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT usage_closed_period_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn close(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
    until: Moment,
) -> Result<UsageClosedPeriod, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        organization_id.as_uuid().into(),
        until.0.into(),
    ];
    let sql = "SELECT usage_closed_period_put($1, $2, $3::timestamp AT TIME ZONE 'UTC')::text";
    db::call(context, sql, &parameters, refuse).await
}
