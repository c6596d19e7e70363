use serde::Deserialize;
use shared::billing::subscription::Subscription;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::money::Currency;
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;
use uuid::Uuid;

use crate::operations::{
    ACCOUNT_CLOSED, SUBSCRIPTION_CANCELED, SubscriptionTerms, VERSION_CONFLICT,
};

/// The id of a change, so that a statement that is sent twice changes once.
pub type ChangeId = Uuid;

/// A subscription, and until when the token that reads it is good.
#[derive(Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    pub subscription: Subscription,
}

/// A subscription with its new terms, and whether they are its first ones.
#[derive(Deserialize)]
pub struct Saved {
    pub is_first: bool,
    pub subscription: Subscription,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    Some(match refused.code.as_str() {
        "ends_too_early" => Problem::invalid_field(
            "period_ends_at",
            "too_early",
            "must be later than period_started_at",
        ),
        "version_conflict" => {
            let version: i64 = refused.fact("version")?;
            VERSION_CONFLICT.because(format!(
                "Its version is {version}. Read it, and decide anew."
            ))
        }
        "currency_fixed" => {
            let currency: Currency = refused.fact("currency")?;
            let message = format!("must be {currency}, the currency of the subscription");
            Problem::invalid_field("seat_price.currency", "mismatch", message)
        }
        "account_closed" => ACCOUNT_CLOSED
            .because("A closed account gets no subscription. Reopen it first, or cancel this one."),
        "subscription_canceled" => SUBSCRIPTION_CANCELED
            .because("It can only begin anew, with the status \"active\" or \"trialing\"."),
        _ => return None,
    })
}

pub async fn find(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<Found, Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT organization_subscription_read($1, $2)::text";
    db::call(context, sql, &parameters, refuse).await
}

pub async fn put(
    context: &Context,
    digest: TokenDigest,
    change_id: ChangeId,
    organization_id: OrganizationId,
    terms: SubscriptionTerms,
) -> Result<Saved, Problem> {
    let seat_price = terms.seat_price.0;
    let parameters = [
        digest.0.to_vec().into(),
        change_id.into(),
        organization_id.as_uuid().into(),
        String::from(terms.plan).into(),
        // There are at most a million, so the number fits.
        i32::try_from(terms.seats.0).unwrap_or(i32::MAX).into(),
        terms.status.as_str().to_owned().into(),
        terms.billing_period.as_str().to_owned().into(),
        seat_price.currency().code().to_owned().into(),
        seat_price.amount().into(),
        terms.period_started_at.map(|time| time.0).into(),
        terms.period_ends_at.map(|time| time.0).into(),
        terms.version.map(|version| version.0).into(),
    ];
    let sql = "SELECT organization_subscription_put($1, $2, $3, $4, $5, $6, $7, $8, $9,
                                                    $10::timestamp AT TIME ZONE 'UTC',
                                                    $11::timestamp AT TIME ZONE 'UTC', $12)::text";
    db::call(context, sql, &parameters, refuse).await
}
