use serde::Deserialize;
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::ids::OrganizationId;
use shared::money::decimal_text::DecimalText;
use shared::money::{Currency, Money};
use shared::organizations;
use shared::store::db;
use shared::token::TokenDigest;

use crate::handler::{ChangeId, Input, Output, Refusal};

/// A subscription as `subscription_json` in the database writes it.
#[derive(Debug, Deserialize)]
struct Row {
    organization_id: OrganizationId,
    plan: String,
    seats: i32,
    status: String,
    billing_period: String,
    currency: Currency,
    seat_price: DecimalText,
    mrr: DecimalText,
    period_started_at: String,
    period_ends_at: String,
    version: i64,
    created_at: String,
    updated_at: String,
}

impl From<Row> for Output {
    fn from(row: Row) -> Self {
        Self {
            organization_id: row.organization_id,
            plan: row.plan,
            seats: row.seats,
            status: row.status,
            billing_period: row.billing_period,
            seat_price: Money::new(row.seat_price.0, row.currency),
            mrr: Money::new(row.mrr.0, row.currency),
            period_started_at: row.period_started_at,
            period_ends_at: row.period_ends_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Answer {
    Found {
        token_expires_millis: u64,
        subscription: Row,
    },
    Created {
        subscription: Row,
    },
    Saved {
        subscription: Row,
    },
    EndsTooEarly,
    VersionConflict {
        version: i64,
    },
    CurrencyFixed {
        currency: Currency,
    },
    SubscriptionCanceled,
    NotFound,
    Unauthenticated,
    Forbidden,
}

impl Answer {
    /// The problem that this answer stands for, when it is none of those that
    /// the statement gives on success, to whoever needs `permission`.
    fn into_problem(self, permission: &str) -> Problem {
        match self {
            Self::EndsTooEarly => Refusal::EndsTooEarly.into(),
            Self::VersionConflict { version } => Refusal::VersionConflict(version).into(),
            Self::CurrencyFixed { currency } => Refusal::CurrencyFixed(currency).into(),
            Self::SubscriptionCanceled => Refusal::Canceled.into(),
            Self::NotFound => organizations::not_found(),
            Self::Unauthenticated => Problem::unauthenticated(),
            Self::Forbidden => Problem::forbidden(permission),
            Self::Found { .. } | Self::Created { .. } | Self::Saved { .. } => Problem::internal(),
        }
    }
}

/// The subscription, and until when the token is good.
pub async fn find(
    context: &Context,
    digest: TokenDigest,
    organization_id: OrganizationId,
) -> Result<(Output, u64), Problem> {
    let parameters = [digest.0.to_vec().into(), organization_id.as_uuid().into()];
    let sql = "SELECT organization_subscription_read($1, $2)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Found {
            token_expires_millis,
            subscription,
        } => Ok((subscription.into(), token_expires_millis)),
        other => Err(other.into_problem("billing:read")),
    }
}

/// The subscription with its new terms, and whether it was created.
pub async fn put(
    context: &Context,
    digest: TokenDigest,
    change_id: ChangeId,
    organization_id: OrganizationId,
    input: &Input,
) -> Result<(u16, Output), Problem> {
    let parameters = [
        digest.0.to_vec().into(),
        change_id.into(),
        organization_id.as_uuid().into(),
        input.plan.clone().into(),
        input.seats.into(),
        input.status.clone().into(),
        input.billing_period.clone().into(),
        input.seat_price.currency().code().to_owned().into(),
        input.seat_price.amount().into(),
        input.period_started_at.into(),
        input.period_ends_at.into(),
        input.version.into(),
    ];
    let sql = "SELECT organization_subscription_put($1, $2, $3, $4, $5, $6, $7, $8, $9,
                                                    $10::timestamp AT TIME ZONE 'UTC',
                                                    $11::timestamp AT TIME ZONE 'UTC', $12)::text";
    match db::call(context, sql, &parameters).await? {
        Answer::Created { subscription } => Ok((201, subscription.into())),
        Answer::Saved { subscription } => Ok((200, subscription.into())),
        other => Err(other.into_problem("subscriptions:manage")),
    }
}
