use serde::Serialize;
use shared::billing::analytics::{
    CreditTotals, CreditTotalsRow, MAX_PERIOD_DAYS, MovementsRow, SubscriptionTotals,
};
use shared::http::context::Context;
use shared::http::period::Period;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::money::Currency;

use crate::interval::{Interval, UNITS, Unit};
use crate::queries::{self, Trends};

/// Most intervals of a period: a year of days and a month more. At 15 amounts of
/// some 60 bytes each they are a body of 400 KB.
const MAX_INTERVALS: usize = 400;

#[derive(Debug, Serialize)]
struct Output {
    currency: Currency,
    interval: &'static str,
    since: String,
    until: String,
    as_of: String,
    intervals: Vec<Figures>,
}

/// The figures of an interval.
#[derive(Debug, Serialize)]
struct Figures {
    starts_on: String,
    ends_on: String,
    credits: CreditTotals,
    subscriptions: SubscriptionTotals,
}

/// The figures of each interval, those in which nothing was included.
fn figures(
    intervals: &[Interval],
    trends: &Trends,
    currency: Currency,
) -> Result<Vec<Figures>, Problem> {
    let mut mrr = trends.before.mrr.0;
    let mut active = trends.before.active;
    let figures_of = |interval: &Interval| -> Result<Figures, Problem> {
        let start = interval.whole_starts_on;
        let mut movements = MovementsRow::ZERO;
        if let Some(changes) = trends.subscriptions.get(&start) {
            movements = changes.movements;
            active = active.saturating_add(changes.active);
            mrr = mrr
                .checked_add(movements.net()?)
                .ok_or_else(Problem::internal)?;
        }
        let credits = trends.credits.get(&start).map_or_else(
            || CreditTotals::zero(currency),
            |row: &CreditTotalsRow| row.in_currency(currency),
        );
        Ok(Figures {
            starts_on: interval.starts_on.to_string(),
            ends_on: interval.ends_on.to_string(),
            credits,
            subscriptions: movements.ending_with(mrr, active, currency)?,
        })
    };
    intervals.iter().map(figures_of).collect()
}

fn unit(text: Option<&str>) -> Result<Unit, Problem> {
    text.map_or(Some(Unit::Day), Unit::parse).ok_or_else(|| {
        let names = UNITS.map(|(name, _)| name).join(", ");
        Problem::invalid_parameter("interval", "invalid", format!("must be one of {names}"))
    })
}

fn intervals(unit: Unit, period: Period) -> Result<Vec<Interval>, Problem> {
    unit.intervals(period, MAX_INTERVALS).ok_or_else(|| {
        Problem::invalid_field(
            "interval",
            "too_many_intervals",
            format!("must be so long that the period has at most {MAX_INTERVALS}"),
        )
    })
}

pub async fn trends(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let currency = request.currency()?;
    let unit = unit(request.query_parameter("interval")?.as_deref())?;
    let period = Period::from_parameters(
        request.query_parameter("since")?.as_deref(),
        request.query_parameter("until")?.as_deref(),
        context.now_millis(),
        MAX_PERIOD_DAYS,
    )?;
    let intervals = intervals(unit, period)?;
    let found = queries::trends(context, token.digest, currency, unit, period);
    let (as_of, trends) = found.await?;
    let output = Output {
        currency,
        interval: unit.name(),
        since: period.since.to_string(),
        until: period.until.to_string(),
        as_of,
        intervals: figures(&intervals, &trends, currency)?,
    };
    Reply::json(200, &output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn period(since: &str, until: &str) -> Period {
        Period {
            since: since.parse().expect("a date"),
            until: until.parse().expect("a date"),
        }
    }

    #[test]
    fn gaps_are_zero_and_the_revenue_goes_on() {
        let trends: Trends = serde_json::from_value(json!({
            "before": {"mrr": "100", "active": 2},
            "credits": {"2026-11-20": {
                "sold": "10", "promotional": "0", "consumed": "4", "refunded": "1", "expired": "0",
                "voided": "0", "spends": 3}},
            "subscriptions": {"2026-11-21": {
                "new_mrr": "30", "expansion_mrr": "5", "contraction_mrr": "2", "churned_mrr": "40",
                "reactivation_mrr": "0", "active": 0}}}))
        .expect("an answer as analytics_revenue_trends gives it");
        let days = intervals(Unit::Day, period("2026-11-19", "2026-11-23")).expect("few days");
        let currency = Currency::parse("USD").expect("a currency");
        let shown = figures(&days, &trends, currency).expect("the sums are small");
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
            (Unit::Day, "2025-10-18", "2026-11-22", Ok(400)),
            (Unit::Day, "2025-10-17", "2026-11-22", Err("interval")),
            (Unit::Week, "2019-04-01", "2026-11-22", Ok(399)),
            (Unit::Week, "2016-11-22", "2026-11-22", Err("interval")),
            (Unit::Month, "2016-11-22", "2026-11-22", Ok(121)),
        ];
        for (unit, since, until, expected) in table {
            let got = intervals(unit, period(since, until))
                .map(|intervals| intervals.len())
                .map_err(|p| p.errors[0].field.clone());
            assert_eq!(got, expected.map_err(Into::into), "{unit:?} since {since}");
        }
    }

    #[test]
    fn units() {
        let table = [
            (None, Ok(Unit::Day)),
            (Some("week"), Ok(Unit::Week)),
            (Some("month"), Ok(Unit::Month)),
            (Some(""), Err("interval")),
            (Some("Week"), Err("interval")),
            (Some("year"), Err("interval")),
        ];
        for (text, expected) in table {
            let got = unit(text).map_err(|p| p.errors[0].field.clone());
            assert_eq!(got, expected.map_err(Into::into), "{text:?}");
        }
    }
}
