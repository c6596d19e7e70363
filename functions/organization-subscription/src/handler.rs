//! The terms of an organization's subscription. They decide about money, so only
//! whoever manages subscriptions for the platform sets them.
//!
//! Two values are cached: that the token may read, under the sign-in of its user,
//! and the subscription, under its organization. A request is served only by both.

use chrono::{Datelike, NaiveDateTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::billing::org_billing::{self, Reader};
use shared::credits;
use shared::http::context::Context;
use shared::http::fields::{self, Fields, Invalid};
use shared::http::problem::Problem;
use shared::http::{Method, Reply, Request};
use shared::ids::{OrganizationId, RANDOM_BYTES};
use shared::money::{Currency, Money};
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};
use shared::token::PresentedToken;
use uuid::Uuid;

use crate::queries;

/// Most seats: at the largest price, which is below 10^12, the revenue is below
/// 10^18, which is what a `numeric(27,9)` holds.
const MAX_SEATS: i64 = 1_000_000;

/// Longest code of a plan.
const MAX_PLAN_CHARS: usize = 64;

/// The years that a period lies in: a year after the last of them is still
/// written with four digits.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=9998;

/// The largest whole number that every JSON parser reads exactly (RFC 8259,
/// section 6).
const MAX_VERSION: i64 = 9_007_199_254_740_991;

const STATUSES: [&str; 5] = ["trialing", "active", "past_due", "paused", "canceled"];
const BILLING_PERIODS: [&str; 2] = ["month", "year"];

/// The terms, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub plan: String,
    pub seats: i32,
    pub status: String,
    pub billing_period: String,
    pub seat_price: Money,
    pub period_started_at: Option<NaiveDateTime>,
    pub period_ends_at: Option<NaiveDateTime>,
    /// The version that the terms replace, if the caller insists on one.
    pub version: Option<i64>,
}

/// What the route answers, and what is cached.
#[derive(Debug, Serialize)]
pub struct Output {
    pub organization_id: OrganizationId,
    pub plan: String,
    pub seats: i32,
    pub status: String,
    pub billing_period: String,
    pub seat_price: Money,
    /// Monthly recurring revenue.
    pub mrr: Money,
    pub period_started_at: String,
    pub period_ends_at: String,
    pub version: i64,
    pub created_at: String,
    pub updated_at: String,
}

/// Why the terms stay as they are.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub enum Refusal {
    EndsTooEarly,
    VersionConflict(i64),
    CurrencyFixed(Currency),
    Canceled,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::EndsTooEarly => Self::invalid_field(
                "period_ends_at",
                "too_early",
                "must be later than period_started_at",
            ),
            Refusal::VersionConflict(version) => Self::new(
                409,
                "version_conflict",
                "The subscription has another version",
                format!("Its version is {version}. Read it, and decide anew."),
            ),
            Refusal::CurrencyFixed(currency) => Self::new(
                409,
                "currency_fixed",
                "A subscription keeps its currency",
                format!("It is in {currency}."),
            ),
            Refusal::Canceled => Self::new(
                409,
                "subscription_canceled",
                "The subscription is canceled",
                "It can only begin anew, with the status \"active\" or \"trialing\".",
            ),
        }
    }
}

fn plan(value: &Value) -> Result<String, Invalid> {
    let text = fields::text(value, 1..=MAX_PLAN_CHARS)?;
    let is_first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_code = text
        .bytes()
        .all(|b| is_first(b) || matches!(b, b'_' | b'-'))
        && text.bytes().next().is_some_and(is_first);
    if !is_code {
        return Err(Invalid::new(
            "invalid",
            "must be lower-case letters, digits, \"_\" and \"-\", beginning with a letter or digit",
        ));
    }
    Ok(text)
}

fn seats(value: &Value) -> Result<i32, Invalid> {
    let seats = fields::whole_number(value, 1..=MAX_SEATS)?;
    // It is no more than MAX_SEATS, so it fits.
    Ok(i32::try_from(seats).unwrap_or(i32::MAX))
}

fn one_of(value: &Value, names: &[&str]) -> Result<String, Invalid> {
    let text = value
        .as_str()
        .ok_or_else(|| Invalid::new("wrong_type", "must be a string"))?;
    if !names.contains(&text) {
        return Err(Invalid::new(
            "invalid",
            format!("must be one of {}", names.join(", ")),
        ));
    }
    Ok(text.to_owned())
}

fn time(value: &Value) -> Result<NaiveDateTime, Invalid> {
    let time = credits::time(value)?;
    if !YEARS.contains(&time.year()) {
        return Err(Invalid::new(
            "out_of_range",
            format!("must be in the years {} to {}", YEARS.start(), YEARS.end()),
        ));
    }
    Ok(time)
}

fn read(mut fields: Fields) -> Result<Input, Problem> {
    let plan = fields.required("plan", plan);
    let seats = fields.required("seats", seats);
    let status = fields.required("status", |value| one_of(value, &STATUSES));
    let billing_period = fields.required("billing_period", |value| one_of(value, &BILLING_PERIODS));
    let seat_price = fields::unsigned_money(&mut fields, "seat_price");
    let period_started_at = fields.optional("period_started_at", time);
    let period_ends_at = fields.optional("period_ends_at", time);
    let version = fields.optional("version", |value| {
        fields::whole_number(value, 0..=MAX_VERSION)
    });
    fields.finish(|| {
        Some(Input {
            plan: plan?,
            seats: seats?,
            status: status?,
            billing_period: billing_period?,
            seat_price: seat_price?,
            period_started_at: period_started_at?,
            period_ends_at: period_ends_at?,
            version: version?,
        })
    })
}

pub async fn subscription(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let organization_id = org_billing::named(request.path())?;
    if matches!(request.method(), Method::Get) {
        show(context, token, organization_id).await
    } else {
        put(context, request, token, organization_id).await
    }
}

async fn show(
    context: &Context,
    token: PresentedToken,
    organization_id: OrganizationId,
) -> Result<Reply, Problem> {
    let of = Namespace::Subscription;
    let reader_key = CacheKey::<Reader>::for_reader(token.digest, of, organization_id);
    let reader = cache::look_up(context, reader_key, Scope::Auth(token.owner)).await;
    let key = CacheKey::<Output>::for_organization(of, organization_id);
    let cached = cache::look_up(context, key, Scope::Organization(organization_id)).await;
    if let (Lookup::Hit(_), Lookup::Hit(entry)) = (&reader, &cached) {
        return Ok(Reply::from_json_bytes(200, entry.payload.clone()));
    }
    let (output, token_expires_millis) =
        queries::find(context, token.digest, organization_id).await?;
    if let Lookup::Miss(fill) = reader {
        let value = Reader { organization_id };
        fill.store(context, &value, token_expires_millis).await;
    }
    if let Lookup::Miss(fill) = cached {
        fill.store(context, &output, u64::MAX).await;
    }
    Reply::json(200, &output)
}

async fn put(
    context: &Context,
    request: &Request,
    token: PresentedToken,
    organization_id: OrganizationId,
) -> Result<Reply, Problem> {
    let (fields, _) = request.json_fields().await?;
    let input = read(fields)?;
    let random: [u8; RANDOM_BYTES] = context.random()?;
    let change_id =
        uuid::Builder::from_unix_timestamp_millis(context.now_millis(), &random).into_uuid();
    let scopes = [Scope::Organization(organization_id)];
    let write = queries::put(context, token.digest, change_id, organization_id, &input);
    let (status, output) = cache::during_write(context, &scopes, write).await?;
    Reply::json(status, &output)
}

/// The id of a change, so that a statement that is sent twice changes once.
pub type ChangeId = Uuid;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        let with = |field: &str, value: Value| {
            let mut body = json!({
                "plan": "team", "seats": 3, "status": "active", "billing_period": "month",
                "seat_price": {"amount": "12.50", "currency": "USD"},
            });
            body[field] = value;
            body
        };
        let table = [
            (with("version", json!(0)), vec![]),
            (
                json!({}),
                vec!["plan", "seats", "status", "billing_period", "seat_price"],
            ),
            (with("plan", json!("a-1_b")), vec![]),
            (with("plan", json!("9")), vec![]),
            (with("plan", json!("")), vec!["plan"]),
            (with("plan", json!("-a")), vec!["plan"]),
            (with("plan", json!("Team")), vec!["plan"]),
            (with("plan", json!("a b")), vec!["plan"]),
            (with("plan", json!("é")), vec!["plan"]),
            (with("plan", json!("a".repeat(64))), vec![]),
            (with("plan", json!("a".repeat(65))), vec!["plan"]),
            (with("seats", json!(1_000_000)), vec![]),
            (with("seats", json!(0)), vec!["seats"]),
            (with("seats", json!(1_000_001)), vec!["seats"]),
            (with("seats", json!(1.5)), vec!["seats"]),
            (with("seats", json!("3")), vec!["seats"]),
            (with("status", json!("Active")), vec!["status"]),
            (with("status", json!(null)), vec!["status"]),
            (
                with("billing_period", json!("week")),
                vec!["billing_period"],
            ),
            (
                with("seat_price", json!({"amount": "0", "currency": "JPY"})),
                vec![],
            ),
            (
                with("seat_price", json!({"amount": "-1", "currency": "USD"})),
                vec!["seat_price.amount"],
            ),
            (
                with("seat_price", json!({"amount": 1, "currency": "usd"})),
                vec!["seat_price.amount", "seat_price.currency"],
            ),
            (with("seat_price", json!("12.50")), vec!["seat_price"]),
            (
                with("period_started_at", json!("2026-11-21T09:30:00Z")),
                vec![],
            ),
            (
                with("period_started_at", json!("1999-12-31T23:59:59Z")),
                vec!["period_started_at"],
            ),
            (
                with("period_ends_at", json!("9999-01-01T00:00:00Z")),
                vec!["period_ends_at"],
            ),
            (
                with("period_ends_at", json!("later")),
                vec!["period_ends_at"],
            ),
            (with("version", json!(-1)), vec!["version"]),
            (with("mrr", json!("1")), vec!["mrr"]),
        ];
        for (body, expected) in table {
            let errors = Fields::new(body.clone())
                .and_then(read)
                .err()
                .map(|p| p.errors)
                .unwrap_or_default();
            let named: Vec<_> = errors.iter().map(|e| &*e.field).collect();
            assert_eq!(named, expected, "{body}");
        }
    }
}
