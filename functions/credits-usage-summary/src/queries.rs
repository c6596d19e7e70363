use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::money::decimal_text::DecimalText;
use shared::store::db;
use shared::token::TokenDigest;

use crate::grouping::{Grouping, Position};
use shared::http::period::Period;

/// What was asked for.
#[derive(Debug)]
pub struct Query {
    pub currency: Currency,
    pub period: Period,
    pub grouping: Grouping,
    pub limit: u32,
    pub after: Option<Position>,
}

/// What some spends and refunds came to.
#[derive(Debug, Deserialize)]
pub struct SumRow {
    pub spent: DecimalText,
    pub refunded: DecimalText,
    pub spends: i64,
    pub refunds: i64,
}

/// A group, with what it is grouped by; an empty name stands for none.
#[derive(Debug, Deserialize)]
pub struct GroupRow {
    pub day: Option<String>,
    pub service: Option<String>,
    pub model: Option<String>,
    #[serde(flatten)]
    pub sum: SumRow,
}

#[derive(Debug, Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    pub total: SumRow,
    /// One more than asked for when more follow.
    pub groups: Vec<GroupRow>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found(Found),
    Unauthenticated,
    Forbidden,
}

pub async fn summary(
    context: &Context,
    digest: TokenDigest,
    query: &Query,
) -> Result<Found, Problem> {
    let after = query.after.clone().unwrap_or_default();
    let parameters = [
        digest.0.to_vec().into(),
        query.currency.code().to_owned().into(),
        query.period.since.into(),
        query.period.until.into(),
        query.grouping.by_day.into(),
        query.grouping.by_service.into(),
        query.grouping.by_model.into(),
        i32::try_from(query.limit).unwrap_or(i32::MAX).into(),
        after.day.into(),
        after.service.into(),
        after.model.into(),
    ];
    let sql = "SELECT credits_usage_summary($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found(found) => Ok(found),
        Answer::Unauthenticated => Err(Problem::unauthenticated()),
        Answer::Forbidden => Err(Problem::forbidden("credits:read")),
    }
}
