use shared::billing::analytics::{CreditTotals, MAX_PERIOD_DAYS, SubscriptionTotals};
use shared::http::context::Context;
use shared::http::period::{Day, Period};
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money::Currency;

use crate::interval::Interval;
use crate::operations::{IntervalFigures, RevenueTrends, RevenueTrendsQuery, TrendInterval};
use crate::queries::{self, Trends};

/// Most intervals of a period: a year of days and a month more. At 15 amounts of
/// some 60 bytes each they are a body of 400 KB.
const MAX_INTERVALS: usize = 400;

pub async fn trends(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let query: RevenueTrendsQuery = request.query()?;
    let currency = query.currency.unwrap_or_default();
    let unit = query.interval.unwrap_or(TrendInterval::Day);
    let now_millis = context.now_millis();
    let period = Period::new(query.since, query.until, now_millis, MAX_PERIOD_DAYS)?;
    let intervals = intervals(unit, period)?;
    let found = queries::trends(context, token.digest, currency, unit, period).await?;
    let trends = RevenueTrends {
        currency,
        interval: unit,
        since: Day(period.since),
        until: Day(period.until),
        as_of: found.as_of,
        intervals: figures(&intervals, found.trends, currency),
    };
    Reply::json(200, &trends)
}

fn intervals(unit: TrendInterval, period: Period) -> Result<Vec<Interval>, Problem> {
    unit.intervals(period, MAX_INTERVALS).ok_or_else(|| {
        Problem::invalid_field(
            "interval",
            "too_many_intervals",
            format!("must be so long that the period has at most {MAX_INTERVALS}"),
        )
    })
}

/// The figures of each interval, those in which nothing happened included.
fn figures(intervals: &[Interval], mut trends: Trends, currency: Currency) -> Vec<IntervalFigures> {
    let mut mrr = trends.before.mrr;
    let mut active = trends.before.active;
    let mut figures = Vec::with_capacity(intervals.len());
    for interval in intervals {
        let start = interval.whole_starts_on;
        let subscriptions = trends
            .subscriptions
            .remove(&start)
            .unwrap_or_else(|| SubscriptionTotals::unchanged(mrr, active));
        (mrr, active) = (subscriptions.mrr, subscriptions.active);
        figures.push(IntervalFigures {
            starts_on: Day(interval.starts_on),
            ends_on: Day(interval.ends_on),
            credits: trends
                .credits
                .remove(&start)
                .unwrap_or_else(|| CreditTotals::zero(currency)),
            subscriptions,
        });
    }
    figures
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::http::input;

    use super::*;

    fn period(since: &str, until: &str) -> Period {
        Period {
            since: since.parse().expect("a date"),
            until: until.parse().expect("a date"),
        }
    }

    #[test]
    fn gaps_are_zero_and_the_revenue_goes_on() {
        let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
        let trends: Trends = serde_json::from_value(json!({
            "before": {"mrr": money("100"), "active": 2},
            "credits": {"2026-11-20": {
                "sold": money("10"), "promotional": money("0"), "consumed": money("4"),
                "refunded": money("1"), "expired": money("0"), "voided": money("0"), "spends": 3}},
            "subscriptions": {"2026-11-21": {
                "mrr": money("93"), "active": 2, "new_mrr": money("30"),
                "expansion_mrr": money("5"), "contraction_mrr": money("2"),
                "churned_mrr": money("40"), "reactivation_mrr": money("0"),
                "net_new_mrr": money("-7")}}}))
        .expect("an answer as analytics_revenue_trends gives it");
        let days =
            intervals(TrendInterval::Day, period("2026-11-19", "2026-11-23")).expect("few days");
        let shown = figures(&days, trends, Currency::USD);
        let shown = serde_json::to_value(shown).expect("plain data");
        let seen: Vec<_> = shown
            .as_array()
            .expect("a list")
            .iter()
            .map(|figures| {
                let text = |pointer: &str| {
                    let value = figures.pointer(pointer).and_then(Value::as_str);
                    value.unwrap_or_default().to_owned()
                };
                [
                    text("/starts_on"),
                    text("/ends_on"),
                    text("/credits/sold/amount"),
                    text("/subscriptions/net_new_mrr/amount"),
                    text("/subscriptions/mrr/amount"),
                ]
            })
            .collect();
        let expected = [
            ["2026-11-19", "2026-11-20", "0.00", "0.00", "100.00"],
            ["2026-11-20", "2026-11-21", "10.00", "0.00", "100.00"],
            ["2026-11-21", "2026-11-22", "0.00", "-7.00", "93.00"],
            ["2026-11-22", "2026-11-23", "0.00", "0.00", "93.00"],
        ];
        assert_eq!(seen, expected.map(|row| row.map(str::to_owned)));
    }

    #[test]
    fn intervals_are_bounded() {
        let table = [
            (TrendInterval::Day, "2025-10-18", "2026-11-22", Ok(400)),
            (
                TrendInterval::Day,
                "2025-10-17",
                "2026-11-22",
                Err("interval"),
            ),
            (TrendInterval::Week, "2019-04-01", "2026-11-22", Ok(399)),
            (
                TrendInterval::Week,
                "2016-11-22",
                "2026-11-22",
                Err("interval"),
            ),
            (TrendInterval::Month, "2016-11-22", "2026-11-22", Ok(121)),
        ];
        for (unit, since, until, expected) in table {
            let got = intervals(unit, period(since, until))
                .map(|intervals| intervals.len())
                .map_err(|p| p.errors[0].field.clone());
            assert_eq!(got, expected.map_err(Into::into), "{unit:?} since {since}");
        }
    }

    #[test]
    fn intervals_of_queries() {
        let table = [
            (None, Ok(None)),
            (Some("week"), Ok(Some(TrendInterval::Week))),
            (Some("month"), Ok(Some(TrendInterval::Month))),
            (Some(""), Err("interval")),
            (Some("Week"), Err("interval")),
            (Some("year"), Err("interval")),
        ];
        for (text, expected) in table {
            let parameters = text.map(|text| ("interval".into(), text.into()));
            let got = input::query::<RevenueTrendsQuery>(parameters.into_iter());
            let got = got.map(|query| query.interval);
            let got = got.map_err(|p| p.errors[0].field.clone());
            assert_eq!(got, expected.map_err(Into::into), "{text:?}");
        }
    }
}
