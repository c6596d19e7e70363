//! Added up from one row a day and name that every spend keeps, so that it is
//! exact to the last spend and its cost does not grow with the ledger.

use chrono::NaiveDate;
use serde::Serialize;
use shared::http::context::Context;
use shared::http::pagination;
use shared::http::period::{Period, parse_date};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money::{Currency, Money};
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::grouping::{Grouping, Position};
use crate::queries::{self, Found, GroupRow, Query, SumRow};

/// Most days of a summary: a year, leap years too.
const MAX_DAYS: i64 = 366;

/// What some spends and refunds came to.
#[derive(Debug, Serialize)]
struct Sum {
    spent: Money,
    refunded: Money,
    /// What was spent less what was refunded; below zero on a day that had more
    /// of the latter.
    net: Money,
    spends: i64,
    refunds: i64,
}

/// A group. What it is not grouped by is absent; a name is null for what was
/// spent without one.
#[derive(Debug, Serialize)]
struct Group {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Option<String>>,
    #[serde(flatten)]
    sum: Sum,
}

/// What the route answers, and what is cached.
#[derive(Debug, Serialize)]
struct Output {
    currency: &'static str,
    since: NaiveDate,
    until: NaiveDate,
    total: Sum,
    groups: Vec<Group>,
    next_cursor: Option<String>,
}

fn sum(row: &SumRow, currency: Currency) -> Result<Sum, Problem> {
    let spent = Money::new(row.spent.0, currency);
    let refunded = Money::new(row.refunded.0, currency);
    Ok(Sum {
        spent,
        refunded,
        net: spent
            .checked_sub(refunded)
            .map_err(|_| Problem::internal())?,
        spends: row.spends,
        refunds: row.refunds,
    })
}

fn group(row: GroupRow, currency: Currency) -> Result<Group, Problem> {
    let name = |name: Option<String>| name.map(|name| Some(name).filter(|name| !name.is_empty()));
    Ok(Group {
        sum: sum(&row.sum, currency)?,
        day: row.day,
        service: name(row.service),
        model: name(row.model),
    })
}

fn output(query: &Query, found: Found) -> Result<Output, Problem> {
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let mut rows = found.groups;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = match rows.last().filter(|_| has_more) {
        Some(last) => Some(query.grouping.encode(&Position {
            day: last.day.as_deref().and_then(parse_date),
            service: last.service.clone(),
            model: last.model.clone(),
        })?),
        None => None,
    };
    let groups = rows.into_iter().map(|row| group(row, query.currency));
    Ok(Output {
        currency: query.currency.code(),
        since: query.period.since,
        until: query.period.until,
        total: sum(&found.total, query.currency)?,
        groups: groups.collect::<Result<_, _>>()?,
        next_cursor,
    })
}

fn read(context: &Context, request: &Request) -> Result<Query, Problem> {
    let currency = request.currency()?;
    let period = Period::from_parameters(
        request.query_parameter("since")?.as_deref(),
        request.query_parameter("until")?.as_deref(),
        context.now_millis(),
        MAX_DAYS,
    )?;
    let group_by = request.query_parameter("group_by")?;
    let grouping = Grouping::from_parameter(group_by.as_deref())?;
    let limit = pagination::read_limit(request.query_parameter("limit")?.as_deref())?;
    let cursor = request.query_parameter("cursor")?;
    let after = match cursor.as_deref() {
        None => None,
        Some(text) => Some(
            grouping
                .decode(text)
                .ok_or_else(pagination::invalid_cursor)?,
        ),
    };
    Ok(Query {
        currency,
        period,
        grouping,
        limit,
        after,
    })
}

/// What the answer depends on beside the token, in one form for each answer.
fn canonical(query: &Query) -> String {
    format!(
        "{} {} {} {} {}",
        query.currency,
        query.period.since,
        query.period.until,
        query.grouping.names(),
        query.limit
    )
}

pub async fn summary(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query = read(context, request)?;
    // Whoever reads on does so once; only first pages are looked at again and again.
    if query.after.is_some() {
        let found = queries::summary(context, token.digest, &query).await?;
        return Reply::json(200, &output(&query, found)?);
    }
    let key = CacheKey::<Output>::for_token_and_query(
        Namespace::UsageSummary,
        token.digest,
        &canonical(&query),
    );
    let fill = match cache::look_up(context, key, Scope::Credits(token.owner)).await {
        Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
        Lookup::Miss(fill) => fill,
    };
    let found = queries::summary(context, token.digest, &query).await?;
    let token_expires_millis = found.token_expires_millis;
    let output = output(&query, found)?;
    fill.store(context, &output, token_expires_millis).await;
    Reply::json(200, &output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn query(group_by: &str, limit: u32) -> Query {
        Query {
            currency: "USD".parse().expect("USD is a currency"),
            period: Period::from_parameters(Some("2026-11-01"), Some("2026-11-03"), 0, MAX_DAYS)
                .expect("two days"),
            grouping: Grouping::from_parameter(Some(group_by)).expect("a grouping"),
            limit,
            after: None,
        }
    }

    fn found(groups: Value) -> Found {
        let total = json!({"spent": "3.5", "refunded": "4", "spends": 2, "refunds": 1});
        let json = json!({"token_expires_millis": 1, "total": total, "groups": groups});
        serde_json::from_value(json).expect("a document as credits_usage_summary returns it")
    }

    #[test]
    fn groups_have_what_they_are_grouped_by() {
        let row = |service: &str| {
            json!({"day": null, "service": service, "model": null,
                   "spent": "1.000000000", "refunded": "0", "spends": 1, "refunds": 0})
        };
        let query = query("service", 2);
        let found = found(json!([row(""), row("chat"), row("image")]));
        let output = output(&query, found).expect("plain sums");
        let cursor = output.next_cursor.clone().expect("one more follows");
        let after = query.grouping.decode(&cursor).expect("our own cursor");
        assert_eq!(after.service.as_deref(), Some("chat"));
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let sum = json!({"spent": money("1.00"), "refunded": money("0.00"), "net": money("1.00"),
                         "spends": 1, "refunds": 0});
        let group = |service: Value| {
            let mut group = sum.clone();
            group["service"] = service;
            group
        };
        assert_eq!(
            serde_json::to_value(&output).ok(),
            Some(json!({
                "currency": "USD", "since": "2026-11-01", "until": "2026-11-03",
                "total": {"spent": money("3.50"), "refunded": money("4.00"),
                          "net": money("-0.50"), "spends": 2, "refunds": 1},
                "groups": [group(Value::Null), group(json!("chat"))],
                "next_cursor": cursor,
            }))
        );
    }

    #[test]
    fn two_ways_to_ask_the_same_are_one() {
        assert_eq!(
            canonical(&query("model,day", 50)),
            "USD 2026-11-01 2026-11-03 day,model 50"
        );
        assert_eq!(
            canonical(&query("day,model", 50)),
            canonical(&query("model,day", 50))
        );
        assert_ne!(canonical(&query("day", 50)), canonical(&query("day", 51)));
    }
}
