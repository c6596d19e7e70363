use shared::billing::analytics::{CreditTotals, SETTLEMENT_PENDING, SubscriptionTotals};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::period::Day;
use shared::http::problem;
use shared::http::time::Time;
use shared::money::Currency;
use shared::serde;

/// How long an interval is.
#[shared::body]
#[derive(Copy, PartialEq, Eq, serde::Serialize)]
#[serde(crate = "shared::serde", rename_all = "snake_case")]
pub enum TrendInterval {
    Day,
    /// Monday to Sunday (ISO 8601).
    Week,
    /// A calendar month.
    Month,
}

impl TrendInterval {
    /// Its name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

#[shared::body(query)]
pub struct RevenueTrendsQuery {
    /// The currency of the figures; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
    /// How long an interval is; a day when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "day")))]
    pub interval: Option<TrendInterval>,
    /// The first day, of UTC. The first of the month in which the last day lies when absent.
    pub since: Option<Day>,
    /// The day after the last. Tomorrow when absent.
    pub until: Option<Day>,
}

/// The figures of the platform over time, in one currency.
#[shared::answer]
pub struct RevenueTrends {
    pub currency: Currency,
    pub interval: TrendInterval,
    /// The first day.
    pub since: Day,
    /// The day after the last.
    pub until: Day,
    /// The moment that the figures are of.
    pub as_of: Time,
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(max = 400)))]
    pub intervals: Vec<IntervalFigures>,
}

/// The figures of an interval.
#[shared::answer]
pub struct IntervalFigures {
    /// The first day.
    pub starts_on: Day,
    /// The day after the last.
    pub ends_on: Day,
    pub credits: CreditTotals,
    pub subscriptions: SubscriptionTotals,
}

pub const READ: Operation = Operation::new(
    "analytics-revenue-trends",
    Verb::Get,
    "/api/v1/org-billing/analytics/revenue-trends",
    Access::Permission("analytics:read"),
)
.tag("analytics")
.summary("The figures of the platform over time")
.details("The permission is the platform's. One entry for each interval of the period, those in which nothing happened included. Weeks begin on Monday (ISO 8601), months are calendar months, both of UTC; the first and the last interval are as much of one as lies in the period. At most 400 intervals and 3,653 days.")
.query::<RevenueTrendsQuery>()
.answers(&[Answer::json::<RevenueTrends>(
    200,
    "The figures of each interval.",
    r#"{"currency": "USD", "interval": "week", "since": "2026-11-19", "until": "2026-11-22", "as_of": "2026-11-21T09:30:00.123456Z", "intervals": [{"starts_on": "2026-11-19", "ends_on": "2026-11-22", "credits": {"sold": {"amount": "1250.00", "currency": "USD"}, "promotional": {"amount": "40.00", "currency": "USD"}, "consumed": {"amount": "912.50", "currency": "USD"}, "refunded": {"amount": "2.50", "currency": "USD"}, "expired": {"amount": "10.00", "currency": "USD"}, "voided": {"amount": "0.00", "currency": "USD"}, "spends": 7300}, "subscriptions": {"mrr": {"amount": "170.00", "currency": "USD"}, "active": 2, "new_mrr": {"amount": "30.00", "currency": "USD"}, "expansion_mrr": {"amount": "0.00", "currency": "USD"}, "contraction_mrr": {"amount": "20.00", "currency": "USD"}, "churned_mrr": {"amount": "30.00", "currency": "USD"}, "reactivation_mrr": {"amount": "0.00", "currency": "USD"}, "net_new_mrr": {"amount": "-20.00", "currency": "USD"}}}]}"#,
)])
.refuses(&[&SETTLEMENT_PENDING, &problem::INVALID_FIELDS]);
