use rust_decimal::Decimal;
use serde::Deserialize;
use shared::billing::analytics::{self, CreditTotalsRow, MovementsRow};
use shared::http::context::Context;
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::money::Currency;
use shared::money::decimal_text::DecimalText;
use shared::store::db;
use shared::token::TokenDigest;

use crate::cursor::Place;

const PERMISSION: &str = "analytics:read";

/// The figures of a period of days, and those of now.
#[derive(Debug, Deserialize)]
pub struct Figures {
    pub as_of: String,
    pub credits: Credits,
    pub subscriptions: Subscriptions,
}

#[derive(Debug, Deserialize)]
pub struct Credits {
    pub credits: CreditTotalsRow,
    pub liability: DecimalText,
}

#[derive(Debug, Deserialize)]
pub struct Subscriptions {
    pub subscriptions: SubscriptionsNow,
    pub plans: Vec<PlanRow>,
}

#[derive(Debug, Deserialize)]
pub struct SubscriptionsNow {
    pub mrr: DecimalText,
    pub active: i64,
    #[serde(flatten)]
    pub movements: MovementsRow,
}

/// The subscriptions of one plan.
#[derive(Debug, Deserialize)]
pub struct PlanRow {
    pub plan: String,
    pub subscriptions: u64,
    pub seats: u64,
    pub mrr: DecimalText,
}

/// An organization, its subscription and what is in its pool.
#[derive(Debug, Deserialize)]
pub struct OrganizationRow {
    pub organization_id: OrganizationId,
    pub name: String,
    pub plan: String,
    pub status: String,
    pub seats: u64,
    pub mrr: DecimalText,
    pub available: DecimalText,
    pub consumed: DecimalText,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found(Box<Figures>),
    Listed { organizations: Vec<OrganizationRow> },
    SettlementPending,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    fn into_problem(self) -> Problem {
        match self {
            Self::SettlementPending => analytics::settlement_pending(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(PERMISSION),
            Self::Found(_) | Self::Listed { .. } => Problem::internal(),
        }
    }
}

/// The figures of the period, with at most `max_plans` plans.
pub async fn figures(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    period: Period,
    max_plans: i32,
) -> Result<Figures, Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        period.since.into(),
        period.until.into(),
        max_plans.into(),
    ];
    let sql = "CALL analytics_platform($1, $2, $3, $4, $5, NULL)";
    match db::call(context, sql, &parameters).await? {
        Answer::Found(figures) => Ok(*figures),
        other => Err(other.into_problem()),
    }
}

/// The organizations of the page, and one more if there is one.
pub async fn organizations(
    context: &Context,
    digest: TokenDigest,
    currency: Currency,
    limit: u32,
    after: Option<Place>,
) -> Result<Vec<OrganizationRow>, Problem> {
    let mrr: Option<Decimal> = after.map(|place| place.mrr);
    let parameters = [
        digest.0.to_vec().into(),
        currency.code().to_owned().into(),
        i32::try_from(limit).unwrap_or(i32::MAX).into(),
        mrr.into(),
        after.map(|place| place.organization_id.as_uuid()).into(),
    ];
    let sql = "SELECT analytics_organizations($1, $2, $3, $4, $5)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Listed { organizations } => Ok(organizations),
        other => Err(other.into_problem()),
    }
}
