use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Deserialize;
use shared::billing::analytics::{self, CreditTotals, SubscriptionTotals};
use shared::http::context::Context;
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::http::time::Time;
use shared::money::{Currency, Money};
use shared::store::db::{self, Refused};
use shared::token::TokenDigest;

use crate::operations::TrendInterval;

/// The figures, and the moment that they are of.
#[derive(Debug, Deserialize)]
pub struct Figures {
    pub as_of: Time,
    pub trends: Trends,
}

/// The figures of the intervals in which anything happened, by their first day.
#[derive(Debug, Deserialize)]
pub struct Trends {
    pub before: Before,
    pub credits: BTreeMap<NaiveDate, CreditTotals>,
    pub subscriptions: BTreeMap<NaiveDate, SubscriptionTotals>,
}

/// What subscriptions came to before the period.
#[derive(Debug, Deserialize)]
pub struct Before {
    pub mrr: Money,
    pub active: u64,
}

fn refuse(refused: &Refused) -> Option<Problem> {
    match refused.code.as_str() {
        "settlement_pending" => Some(analytics::settlement_pending()),
        _ => None,
    }
}

/// The figures of the period.
pub async fn trends(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    interval: TrendInterval,
    period: Period,
) -> Result<Figures, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        interval.as_str().to_owned().into(),
        period.since.into(),
        period.until.into(),
    ];
    let sql = "SELECT analytics_revenue_trends($1, $2, $3, $4, $5)::text";
    db::call(context, sql, &parameters, refuse).await
}
