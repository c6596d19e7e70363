use serde::Deserialize;
use shared::http::context::Context;
use shared::http::pagination::{Listed, Page};
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::money::Currency;
use shared::store::db;
use shared::token::TokenDigest;

use crate::grouping::Position;
use crate::operations::{Grouping, UsageSum};

/// What was asked for.
#[derive(Debug)]
pub struct Query {
    pub currency: Currency,
    pub period: Period,
    pub grouping: Grouping,
    pub page: Page<Position>,
}

/// A group, with what it is grouped by; an empty name stands for none.
#[derive(Debug, Deserialize)]
pub struct GroupRow {
    #[serde(flatten)]
    pub position: Position,
    pub sum: UsageSum,
}

#[derive(Debug, Deserialize)]
pub struct Found {
    pub token_expires_millis: u64,
    pub total: UsageSum,
    /// One more than asked for when more follow.
    pub groups: Vec<GroupRow>,
}

pub async fn summary(
    context: &Context,
    digest: TokenDigest,
    query: &Query,
) -> Result<Listed<Found>, Problem> {
    let after = query.page.after.clone().unwrap_or_default();
    let parameters = [
        digest.0.to_vec().into(),
        query.currency.code().to_owned().into(),
        query.period.since.into(),
        query.period.until.into(),
        query.grouping.by_day.into(),
        query.grouping.by_service.into(),
        query.grouping.by_model.into(),
        i32::try_from(query.page.limit).unwrap_or(i32::MAX).into(),
        after.day.map(|day| day.0).into(),
        after.service.into(),
        after.model.into(),
    ];
    let sql = "SELECT credits_usage_summary($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text, cursor_key()";
    db::list(context, sql, &parameters, db::no_refusal_of_its_own).await
}
