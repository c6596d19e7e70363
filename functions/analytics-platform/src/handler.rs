use serde::Serialize;
use shared::billing::analytics::{CreditTotals, MAX_PERIOD_DAYS, SubscriptionTotals};
use shared::http::context::Context;
use shared::http::pagination::{invalid_cursor, read_limit};
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::OrganizationId;
use shared::money::{Currency, Money};

use crate::cursor::Place;
use crate::queries::{self, Figures, OrganizationRow, PlanRow};

/// Most plans that are shown, those that bring most: as many as a page has items.
const MAX_PLANS: i32 = 100;

#[derive(Debug, Serialize)]
struct Output {
    currency: Currency,
    since: String,
    until: String,
    as_of: String,
    credits: CreditTotals,
    outstanding: Outstanding,
    subscriptions: SubscriptionTotals,
    plans: Vec<Plan>,
}

/// What was granted and can still be spent, now or once it is effective.
#[derive(Debug, Serialize)]
struct Outstanding {
    liability: Money,
}

#[derive(Debug, Serialize)]
struct Plan {
    plan: String,
    subscriptions: u64,
    seats: u64,
    mrr: Money,
}

#[derive(Debug, Serialize)]
struct Listed {
    organizations: Vec<Organization>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Organization {
    organization_id: OrganizationId,
    name: String,
    plan: String,
    status: String,
    seats: u64,
    mrr: Money,
    pool: Pool,
}

#[derive(Debug, Serialize)]
struct Pool {
    available: Money,
    consumed: Money,
}

fn output(currency: Currency, period: Period, figures: Figures) -> Result<Output, Problem> {
    let now = &figures.subscriptions.subscriptions;
    let plan = |row: PlanRow| Plan {
        plan: row.plan,
        subscriptions: row.subscriptions,
        seats: row.seats,
        mrr: Money::new(row.mrr.0, currency),
    };
    Ok(Output {
        currency,
        since: period.since.to_string(),
        until: period.until.to_string(),
        as_of: figures.as_of,
        credits: figures.credits.credits.in_currency(currency),
        outstanding: Outstanding {
            liability: Money::new(figures.credits.liability.0, currency),
        },
        subscriptions: now.movements.ending_with(now.mrr.0, now.active, currency)?,
        plans: figures.subscriptions.plans.into_iter().map(plan).collect(),
    })
}

/// The page, from rows of which there is one more than asked for when more follow.
fn listed(currency: Currency, limit: u32, mut rows: Vec<OrganizationRow>) -> Listed {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|row| Place {
        mrr: row.mrr.0,
        organization_id: row.organization_id,
    });
    let organization = |row: OrganizationRow| Organization {
        organization_id: row.organization_id,
        name: row.name,
        plan: row.plan,
        status: row.status,
        seats: row.seats,
        mrr: Money::new(row.mrr.0, currency),
        pool: Pool {
            available: Money::new(row.available.0, currency),
            consumed: Money::new(row.consumed.0, currency),
        },
    };
    Listed {
        organizations: rows.into_iter().map(organization).collect(),
        next_cursor: last.filter(|_| has_more).map(|place| place.encode()),
    }
}

fn place(cursor: Option<&str>) -> Result<Option<Place>, Problem> {
    cursor
        .map(|text| Place::decode(text).ok_or_else(invalid_cursor))
        .transpose()
}

pub async fn platform(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let currency = request.currency()?;
    if request.path().ends_with("/organizations") {
        let limit = read_limit(request.query_parameter("limit")?.as_deref())?;
        let after = place(request.query_parameter("cursor")?.as_deref())?;
        let rows = queries::organizations(context, token.digest, currency, limit, after);
        return Reply::json(200, &listed(currency, limit, rows.await?));
    }
    let period = Period::from_parameters(
        request.query_parameter("since")?.as_deref(),
        request.query_parameter("until")?.as_deref(),
        context.now_millis(),
        MAX_PERIOD_DAYS,
    )?;
    let figures = queries::figures(context, token.digest, currency, period, MAX_PLANS).await?;
    Reply::json(200, &output(currency, period, figures)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usd() -> Currency {
        Currency::parse("USD").expect("a currency")
    }

    fn row(number: u64) -> OrganizationRow {
        let json = json!({
            "organization_id": format!("org_{number:032x}"), "name": "Analytical Engines",
            "plan": "team", "status": "active", "seats": 3, "mrr": "30.000000000",
            "available": "0", "consumed": "1.5"});
        serde_json::from_value(json).expect("a row as analytics_organizations returns it")
    }

    #[test]
    fn a_cursor_is_given_only_when_more_follow() {
        let table = [
            (vec![], 0, None),
            (vec![3], 1, None),
            (vec![3, 2], 2, None),
            (vec![3, 2, 1], 2, Some(2)),
        ];
        for (numbers, shown, next) in table {
            let rows = numbers.iter().copied().map(row).collect();
            let got = listed(usd(), 2, rows);
            assert_eq!(got.organizations.len(), shown, "{numbers:?}");
            let next = next.map(|number| {
                let last = row(number);
                let mrr = last.mrr.0;
                let organization_id = last.organization_id;
                Place {
                    mrr,
                    organization_id,
                }
                .encode()
            });
            assert_eq!(got.next_cursor, next, "{numbers:?}");
        }
    }

    #[test]
    fn figures_are_shown_in_their_currency() {
        let figures = serde_json::from_value(json!({
            "as_of": "2026-11-21T09:30:00.123456Z",
            "credits": {
                "credits": {"sold": "100", "promotional": "5.500000000", "consumed": "20", "refunded": "1",
                            "expired": "2", "voided": "3", "spends": 4},
                "liability": "79.5"},
            "subscriptions": {
                "subscriptions": {"mrr": "120.000000000", "active": 3, "new_mrr": "90", "expansion_mrr": "40",
                                  "contraction_mrr": "5", "churned_mrr": "10", "reactivation_mrr": "5"},
                "plans": [{"plan": "team", "subscriptions": 3, "seats": 12, "mrr": "120"}]}}))
        .expect("an answer as analytics_platform gives it");
        let period = Period {
            since: "2026-11-01".parse().expect("a date"),
            until: "2026-11-22".parse().expect("a date"),
        };
        let output = output(usd(), period, figures).expect("the sums are small");
        let shown = serde_json::to_value(output).expect("plain data");
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        assert_eq!(shown["since"], "2026-11-01");
        assert_eq!(shown["credits"]["promotional"], money("5.50"));
        assert_eq!(shown["outstanding"]["liability"], money("79.50"));
        assert_eq!(shown["subscriptions"]["net_new_mrr"], money("120.00"));
        assert_eq!(shown["plans"][0]["mrr"], money("120.00"));
    }
}
