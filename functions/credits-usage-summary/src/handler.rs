//! Added up from one row a day and name that every spend keeps, so that it is
//! exact to the last spend and its cost does not grow with the ledger.

use shared::credits::UsageName;
use shared::http::context::Context;
use shared::http::input::FromText;
use shared::http::pagination::{self, CursorKey, ListScope, Page};
use shared::http::period::{Day, Period};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money::Currency;
use shared::store::cache::{self, Lookup};
use shared::store::cache_key::{CacheKey, Namespace, Scope};

use crate::operations::{CreditUsageGroup, CreditUsageSummary, Grouping, UsageSummaryQuery};
use crate::queries::{self, Found, GroupRow, Query};

/// Most days of a summary: a year, leap years too.
const MAX_DAYS: i64 = 366;

/// A group as it is shown: what it is not grouped by is absent, and a name is null for
/// what was spent without one.
fn group(row: GroupRow) -> Result<CreditUsageGroup, Problem> {
    let name = |name: Option<String>| match name {
        Some(name) if !name.is_empty() => UsageName::from_text(&name)
            .map(|name| Some(Some(name)))
            .map_err(|_| Problem::internal()),
        name => Ok(name.map(|_| None)),
    };
    Ok(CreditUsageGroup {
        day: row.position.day,
        service: name(row.position.service)?,
        model: name(row.position.model)?,
        sum: row.sum,
    })
}

fn shown(query: &Query, key: &CursorKey, found: Found) -> Result<CreditUsageSummary, Problem> {
    let position = |row: &GroupRow| row.position.clone();
    let (rows, next_cursor) = query.page.cut_opened(key, found.groups, position);
    Ok(CreditUsageSummary {
        currency: query.currency,
        since: Day(query.period.since),
        until: Day(query.period.until),
        total: found.total,
        groups: rows.into_iter().map(group).collect::<Result<_, _>>()?,
        next_cursor,
    })
}

/// What is asked for. `scope` gives what the cursors of a filter belong to.
fn read(
    now_millis: u64,
    asked: &UsageSummaryQuery,
    scope: impl FnOnce(&str) -> ListScope,
) -> Result<Query, Problem> {
    let period = Period::new(asked.since, asked.until, now_millis, MAX_DAYS)?;
    let grouping: Grouping = asked.group_by.unwrap_or_default();
    let currency = asked.currency.unwrap_or_default();
    let filter = filter(currency, period, grouping);
    let page = Page::new(scope(&filter), asked.limit, asked.cursor.as_ref())?;
    if page
        .after
        .as_ref()
        .is_some_and(|place| !grouping.has(place))
    {
        return Err(pagination::invalid_cursor());
    }
    Ok(Query {
        currency,
        period,
        grouping,
        page,
    })
}

/// What the groups depend on beside their owner, in one form for all ways to ask for it: the
/// first page is kept, and its cursor is good for whoever asks for the same in another way.
fn filter(currency: Currency, period: Period, grouping: Grouping) -> String {
    let Period { since, until } = period;
    format!("{currency} {since} {until} {}", grouping.names())
}

/// What the answer depends on beside the token, in one form for each answer.
fn canonical(query: &Query) -> String {
    let filter = filter(query.currency, query.period, query.grouping);
    format!("{filter} {}", query.page.limit)
}

pub async fn summary(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let scope = |filter: &str| request.list_scope_by(&token, [("", filter)]);
    let query = read(context.now_millis(), &request.query()?, scope)?;
    // Whoever reads on does so once; only first pages are looked at again and again.
    if query.page.after.is_some() {
        let found = queries::summary(context, token.digest, &query).await?;
        let (found, key) = query.page.open(found)?;
        return Reply::json(200, &shown(&query, &key, found)?);
    }
    let key = CacheKey::<CreditUsageSummary>::for_token_and_query(
        Namespace::UsageSummary,
        token.digest,
        &canonical(&query),
    );
    let fill = match cache::look_up(context, key, Scope::Credits(token.owner)).await {
        Lookup::Hit(entry) => return Ok(Reply::from_json_bytes(200, entry.payload.clone())),
        Lookup::Miss(fill) => fill,
    };
    let found = queries::summary(context, token.digest, &query).await?;
    let (found, key) = query.page.open(found)?;
    let token_expires_millis = found.token_expires_millis;
    let summary = shown(&query, &key, found)?;
    fill.store(context, &summary, token_expires_millis).await;
    Reply::json(200, &summary)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input;

    use super::*;
    use crate::grouping::Position;

    fn query(group_by: &str, limit: u32) -> Query {
        let asked = [
            ("since", "2026-11-01"),
            ("until", "2026-11-03"),
            ("group_by", group_by),
            ("limit", &limit.to_string()),
        ];
        let asked = asked.map(|(name, value)| (name.into(), value.into()));
        let asked = input::query(asked.into_iter()).expect("the query is right");
        read(0, &asked, |_| ListScope::default()).expect("two days")
    }

    fn money(amount: &str) -> Value {
        json!({"amount": amount, "currency": "USD"})
    }

    fn found(groups: Value) -> Found {
        let total = json!({"spent": money("3.5"), "refunded": money("4"), "net": money("-0.5"),
                           "spends": 2, "refunds": 1});
        let json = json!({"token_expires_millis": 1, "total": total, "groups": groups});
        serde_json::from_value(json).expect("a document as credits_usage_summary returns it")
    }

    #[test]
    fn groups_have_what_they_are_grouped_by() {
        let row = |service: &str| {
            json!({"day": null, "service": service, "model": null,
                   "sum": {"spent": money("1.000000000"), "refunded": money("0"),
                           "net": money("1.000000000"), "spends": 1, "refunds": 0}})
        };
        let query = query("service", 2);
        let found = found(json!([row(""), row("chat"), row("image")]));
        let summary = shown(&query, &CursorKey::new([0; 32]), found).expect("plain sums");
        let cursor = summary.next_cursor.clone().expect("one more follows");
        let after: Position = cursor.place().expect("our own cursor");
        assert_eq!(after.service.as_deref(), Some("chat"));
        let sum = json!({"spent": money("1.00"), "refunded": money("0.00"), "net": money("1.00"),
                         "spends": 1, "refunds": 0});
        let group = |service: Value| {
            let mut group = sum.clone();
            group["service"] = service;
            group
        };
        assert_eq!(
            serde_json::to_value(&summary).ok(),
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
