use shared::credits::UsageName;
use shared::http::input::{FromText, Invalid};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::period::Day;
use shared::money::{Currency, Money};

/// By what usage is added up, each in the order of the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    pub by_day: bool,
    pub by_service: bool,
    pub by_model: bool,
}

/// By day.
impl Default for Grouping {
    fn default() -> Self {
        Self {
            by_day: true,
            by_service: false,
            by_model: false,
        }
    }
}

/// A list of `day`, `service` and `model`, in any order.
impl FromText for Grouping {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            Invalid::new(
                "invalid",
                "must be a list of day, service and model, separated by commas, each at most once",
            )
        };
        let mut grouping = Self {
            by_day: false,
            by_service: false,
            by_model: false,
        };
        for name in text.split(',') {
            let chosen = match name {
                "day" => &mut grouping.by_day,
                "service" => &mut grouping.by_service,
                "model" => &mut grouping.by_model,
                _ => return Err(invalid()),
            };
            if std::mem::replace(chosen, true) {
                return Err(invalid());
            }
        }
        Ok(grouping)
    }
}

shared::describe!(Grouping as "UsageGrouping", {
    "type": "string",
    "pattern": "^(day|service|model)(,(day|service|model)){0,2}$",
    "description": "A list of day, service and model, separated by commas, each at most once.",
    "examples": ["day,service"],
});

#[shared::body(query)]
pub struct UsageSummaryQuery {
    /// The currency; USD when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "USD")))]
    pub currency: Option<Currency>,
    /// The first day, at most 366 days before until. When absent, the first of the month
    /// in which the last day lies.
    pub since: Option<Day>,
    /// The day after the last; tomorrow when absent.
    pub until: Option<Day>,
    /// By what the usage is added up: a list of day, service and model, separated by
    /// commas, each at most once. By day when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = "day")))]
    pub group_by: Option<Grouping>,
    /// Items in a page; 50 when absent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    /// The next_cursor of an earlier page of the same period, currency and group_by; the
    /// first page when absent.
    pub cursor: Option<Cursor>,
}

/// What some spends and refunds came to.
#[shared::answer(read)]
pub struct UsageSum {
    spent: Money,
    refunded: Money,
    /// spent less refunded; below zero where more came back than was spent.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "shared::http::input::SignedMoney")
    )]
    net: Money,
    /// How many transactions spent.
    spends: u64,
    /// How many gave back.
    refunds: u64,
}

/// What the spends and refunds of a group came to, with what it is grouped by.
#[shared::answer]
pub struct CreditUsageGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// Null for what was spent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Option<UsageName>>,
    /// Null for what was spent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Option<UsageName>>,
    #[serde(flatten)]
    pub sum: UsageSum,
}

#[shared::answer]
pub struct CreditUsageSummary {
    pub currency: Currency,
    pub since: Day,
    pub until: Day,
    /// Of the whole period.
    pub total: UsageSum,
    /// A page of them, in the order of day, service and model.
    pub groups: Vec<CreditUsageGroup>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

pub const SUMMARY: Operation = Operation::new(
    "credits-usage-summary",
    Verb::Get,
    "/api/v1/credits/usage/summary",
    Access::Permission("credits:read"),
)
.tag("credits")
.summary("Add up what the caller has spent")
.details("Spends and captures count on the day of UTC on which they came to pass, and so do refunds, under the names of what they give back. Exact to the last acknowledged spend. Grouped by day alone every day of the period is there; else only what has usage.")
.query::<UsageSummaryQuery>()
.answers(&[Answer::json::<CreditUsageSummary>(
    200,
    "The sums.",
    r#"{"currency": "USD", "since": "2026-11-01", "until": "2026-11-22", "total": {"spent": {"amount": "1.25", "currency": "USD"}, "refunded": {"amount": "0.25", "currency": "USD"}, "net": {"amount": "1.00", "currency": "USD"}, "spends": 3, "refunds": 1}, "groups": [{"service": "chat", "model": null, "spent": {"amount": "1.25", "currency": "USD"}, "refunded": {"amount": "0.25", "currency": "USD"}, "net": {"amount": "1.00", "currency": "USD"}, "spends": 3, "refunds": 1}], "next_cursor": null}"#,
)]);
