use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Deserialize;
use shared::billing::analytics::{self, CreditTotalsRow, MovementsRow};
use shared::http::context::Context;
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::money::decimal_text::DecimalText;
use shared::store::db;
use shared::token::TokenDigest;

use crate::interval::Unit;

/// The figures of the intervals in which there were any, by their first day.
#[derive(Debug, Deserialize)]
pub struct Trends {
    pub before: Before,
    pub credits: BTreeMap<NaiveDate, CreditTotalsRow>,
    pub subscriptions: BTreeMap<NaiveDate, ChangesRow>,
}

/// What subscriptions came to before the period.
#[derive(Debug, Deserialize)]
pub struct Before {
    pub mrr: DecimalText,
    pub active: i64,
}

/// How subscriptions changed in an interval.
#[derive(Debug, Deserialize)]
pub struct ChangesRow {
    /// How many more are paid for at its end.
    pub active: i64,
    #[serde(flatten)]
    pub movements: MovementsRow,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found { as_of: String, trends: Trends },
    SettlementPending,
    Unauthenticated,
    Forbidden,
}

/// The figures of the period, and the moment that they are of.
pub async fn trends(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    unit: Unit,
    period: Period,
) -> Result<(String, Trends), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        unit.name().to_owned().into(),
        period.since.into(),
        period.until.into(),
    ];
    let sql = "CALL analytics_revenue_trends($1, $2, $3, $4, $5, NULL)";
    match db::call(context, sql, &parameters).await? {
        Answer::Found { as_of, trends } => Ok((as_of, trends)),
        Answer::SettlementPending => Err(analytics::settlement_pending()),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("analytics:read")),
    }
}
