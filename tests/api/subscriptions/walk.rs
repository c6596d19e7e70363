//! Whatever happens in whatever order: a preview is what then happens, days cost what their terms
//! do, and versions are in one order.

use futures::future::join_all;
use jiff::Span;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use turnpike_tests::personas::decimal;
use turnpike_tests::random::Random;
use turnpike_tests::{Response, TestHost, api_tests};

use super::desk::{Desk, seats, uuid_of};

api_tests![
    a_preview_is_what_then_happens,
    of_changes_at_once_each_is_one_version,
    of_what_can_be_done_once_one_does_it,
];

/// A random walk: of what can be asked, in whatever status, with time that passes. What a preview
/// says is what then happens, and the lines of each period are what its terms cost over time.
async fn a_preview_is_what_then_happens(host: &TestHost) {
    let mut random = Random::seeded("subscriptions");
    for proration in ["day", "second", "fixed_30"] {
        let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
        let plan = desk.team().await;
        let id = desk
            .create(&plan, json!({"proration": proration, "trial_days": 3}))
            .await;
        let mut day = 31_i64;
        for _ in 0..30 {
            day += i64::try_from(random.below(9)).unwrap_or(0);
            let now = day_of_year(day);
            desk.clock(&now).await;
            let later = day_of_year(day + 5);
            let candidates = [
                ("change", json!({"quantity": 1 + random.below(20)})),
                (
                    "change",
                    json!({"quantity": 1 + random.below(20), "when": "period_end"}),
                ),
                (
                    "change",
                    json!({"price_overrides": [
                    {"charge": "seats", "price": {"amount": "12.34", "currency": "USD"}}]}),
                ),
                (
                    "cancel",
                    json!({"when": "date", "at": later, "credit": "unused"}),
                ),
                ("resume", json!({})),
                ("pause", json!({})),
                ("unpause", json!({})),
            ];
            let index = usize::try_from(random.below(7)).unwrap_or(0);
            let (action, body) = candidates[index].clone();
            let previewed = desk.preview_call(&id, action, &body).send().await;
            let done = desk.call(&id, action, &body).send().await;
            assert_eq!(previewed.status, done.status, "{previewed}\n{done}");
            if done.status == 200 {
                assert_eq!(previewed.json(), done.json(), "{action} {body}");
            }
        }
        replayed(&desk, &id).await;
        if proration == "day" {
            days_cost_what_their_terms_do(&desk, &id).await;
        }
    }
}

/// What each day of a period costs, in parts of the price of the period.
struct Days {
    index: i64,
    first: Date,
    prices: Vec<Decimal>,
}

impl Days {
    fn of(period: &Value) -> Self {
        let [first, end] = ["started_at", "ends_at"].map(|name| date_of(&period[name]));
        let count = usize::try_from((end - first).get_days()).unwrap_or(0);
        Self {
            index: period["index"].as_i64().unwrap_or_default(),
            first,
            prices: vec![Decimal::ZERO; count],
        }
    }

    /// From a day on, each costs its part of a price.
    fn cost_from(&mut self, day: Date, price: Decimal) {
        let past = usize::try_from((day - self.first).get_days()).unwrap_or(0);
        self.prices
            .iter_mut()
            .skip(past)
            .for_each(|day| *day = price);
    }

    fn cost(&self) -> Decimal {
        self.prices.iter().sum::<Decimal>() / Decimal::from(self.prices.len())
    }
}

fn date_of(time: &Value) -> Date {
    let text = time.as_str().unwrap_or_default();
    text[..10].parse().expect("a time begins with its date")
}

/// The lines of each period sum to what its days cost one by one, as the versions say it, but for
/// the cent to which each line is rounded.
async fn days_cost_what_their_terms_do(desk: &Desk<'_>, id: &str) {
    let id = uuid_of(id);
    let rows = desk
        .host
        .query(&format!(
            "SELECT action, to_jsonb(happened_at)::text, state::text FROM subscription_versions
              WHERE subscription_id = '{id}' ORDER BY version"
        ))
        .await;
    let mut periods: Vec<Days> = Vec::new();
    let mut paused_on = None;
    for row in rows {
        let [at, state] = [1, 2].map(|column| {
            serde_json::from_str::<Value>(row.get(column)).expect("the database writes JSON")
        });
        if periods.last().map(|days| days.index) != state["period"]["index"].as_i64() {
            periods.push(Days::of(&state["period"]));
        }
        let days = periods.last_mut().expect("there is a period");
        let (today, tomorrow) = (date_of(&at), date_of(&at) + Span::new().days(1));
        let seat = state["price_overrides"].pointer("/0/price/amount");
        let seat = decimal(seat.and_then(Value::as_str).unwrap_or("10"));
        let quantity = Decimal::from(state["quantity"].as_i64().unwrap_or_default());
        let price = Decimal::from(100) + quantity * seat;
        match row.get::<_, &str>(0) {
            "paused" => {
                days.cost_from(tomorrow, Decimal::ZERO);
                paused_on = Some(today);
            }
            "canceled" => days.cost_from(tomorrow, Decimal::ZERO),
            "unpaused" => {
                let is_paid = paused_on == Some(today);
                days.cost_from(if is_paid { tomorrow } else { today }, price);
            }
            _ if state["status"] == "active" => days.cost_from(today, price),
            _ => {}
        }
    }
    for days in periods {
        let rows = desk
            .host
            .query(&format!(
                "SELECT coalesce(sum(amount), 0)::text, count(*) FROM subscription_adjustments
                  WHERE subscription_id = '{id}' AND period_index = {}",
                days.index
            ))
            .await;
        let (sum, count): (String, i64) = (rows[0].get(0), rows[0].get(1));
        let difference = (decimal(&sum) - days.cost()).abs();
        let bound = Decimal::new(count + 1, 2);
        assert!(
            difference <= bound,
            "{sum} of period {} of {id}, which costs {}",
            days.index,
            days.cost()
        );
    }
}

/// The first moment of the day so many days after the end of 2025.
fn day_of_year(day: i64) -> String {
    let date = jiff::civil::date(2026, 1, 1) + Span::new().days(day - 1);
    format!("{date}T00:00:00Z")
}

/// Versions are numbered without gaps, and the last of them is the subscription.
async fn replayed(desk: &Desk<'_>, id: &str) {
    let rows = desk
        .host
        .query(&format!(
            "SELECT count(*) = max(version) AND min(version) = 1, max(version) = (
                        SELECT version FROM subscriptions WHERE id = '{id}'),
                    bool_and(state = (SELECT plan_subscription_json(s)::jsonb FROM subscriptions s WHERE s.id = '{id}'))
                        FILTER (WHERE version = (SELECT version FROM subscriptions WHERE id = '{id}'))
               FROM subscription_versions WHERE subscription_id = '{id}'",
            id = uuid_of(id)
        ))
        .await;
    for column in 0..3 {
        assert!(rows[0].get::<_, bool>(column), "column {column} of {id}");
    }
}

async fn of_changes_at_once_each_is_one_version(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.plan("USD", json!([seats("10")])).await;
    let id = desk.create(&plan, json!({})).await;
    desk.clock("2026-04-16T00:00:00Z").await;
    let calls = (0..64).map(|index| {
        let call = desk.call(&id, "change", &json!({"quantity": 100 + index}));
        async move { call.settle().await.expect(200) }
    });
    let responses: Vec<Response> = join_all(calls).await;
    let mut versions: Vec<u64> = responses
        .iter()
        .filter_map(|response| response.json()["subscription"]["version"].as_u64())
        .collect();
    versions.sort_unstable();
    assert_eq!(
        versions,
        (2..=65).collect::<Vec<u64>>(),
        "one order, and none is lost"
    );
    replayed(&desk, &id).await;
    // Each gives back what the one before it owes, so that the sum is that of the last.
    let rows = host
        .query(&format!(
            "SELECT sum(amount)::text, (SELECT quantity FROM subscriptions WHERE id = '{id}')
               FROM subscription_adjustments WHERE subscription_id = '{id}'",
            id = uuid_of(&id)
        ))
        .await;
    let (sum, quantity): (String, i32) = (rows[0].get(0), rows[0].get(1));
    let of_last = Decimal::from(10) / Decimal::from(2) + Decimal::from(quantity) * Decimal::from(5);
    assert_eq!(decimal(&sum), of_last);
}

/// Of what can be done once, one of many at once does it, whatever else is asked meanwhile.
async fn of_what_can_be_done_once_one_does_it(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.team().await;
    let id = desk.create(&plan, json!({})).await;
    for (action, body) in [
        ("pause", json!({})),
        ("unpause", json!({})),
        ("cancel", json!({"when": "now", "credit": "full"})),
    ] {
        let calls = (0..24).map(|index| {
            let call = match index % 3 {
                0 => desk.call(&id, "change", &json!({"quantity": 1 + index})),
                _ => desk.call(&id, action, &body),
            };
            async move { (index % 3, call.settle().await) }
        });
        let mut done = 0;
        for (kind, response) in join_all(calls).await {
            match (kind, response.status) {
                (0, 200) => {}
                (_, 200) => done += 1,
                _ => {
                    response.expect_problem(409, "action_not_allowed");
                }
            }
        }
        assert_eq!(done, 1, "{action}");
        replayed(&desk, &id).await;
    }
    // All that was billed is given back.
    let rows = host
        .query(&format!(
            "SELECT sum(amount)::text FROM subscription_adjustments WHERE subscription_id = '{}'",
            uuid_of(&id)
        ))
        .await;
    assert_eq!(decimal(rows[0].get(0)), Decimal::ZERO);
}
