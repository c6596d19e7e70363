//! What is measured: the routes, and the requests that are sent to each.

use crate::load::credit_fixtures::{Fixtures, Spenders};
use crate::load::workload::{Template, Workload};

/// One row of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Liveness: asks nothing of any dependency.
    Health,
    /// A balance that is in the cache.
    CachedBalance,
    /// One page of one transaction, which is never cached.
    IndexedRead,
    /// Consumptions that all queue for one account.
    ConsumeHot,
    /// Consumptions spread over many accounts.
    ConsumeSpread,
}

impl Scenario {
    /// All rows, in the report's order.
    pub const ALL: [Self; 5] = [
        Self::Health,
        Self::CachedBalance,
        Self::IndexedRead,
        Self::ConsumeHot,
        Self::ConsumeSpread,
    ];

    /// The row's name; also what a baseline is matched by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "GET health",
            Self::CachedBalance => "GET credits/balance, cached",
            Self::IndexedRead => "GET credits/transactions?limit=1",
            Self::ConsumeHot => Spenders::Hot.row_name(),
            Self::ConsumeSpread => Spenders::Spread.row_name(),
        }
    }

    /// Whether its requests write to the ledger.
    pub const fn consumes(self) -> bool {
        matches!(self, Self::ConsumeHot | Self::ConsumeSpread)
    }

    /// The share of responses that must come from the cache, in percent: otherwise the row does
    /// not measure what its name says. Entries expire after a minute, so not quite all do.
    pub const fn expected_hits_percent(self) -> std::ops::RangeInclusive<u64> {
        match self {
            Self::CachedBalance => 99..=100,
            _ => 0..=0,
        }
    }

    /// The requests to send, as users of `fixtures`.
    pub fn workload(self, fixtures: &Fixtures, run: u64) -> Workload {
        let requests = match self {
            Self::Health => vec![Template::get("/api/v1/health", None)],
            Self::CachedBalance => vec![Template::get(
                "/api/v1/credits/balance?currency=USD",
                Some(&fixtures.reader),
            )],
            Self::IndexedRead => vec![Template::get(
                "/api/v1/credits/transactions?limit=1",
                Some(&fixtures.reader),
            )],
            Self::ConsumeHot => return fixtures.consumptions(Spenders::Hot, "", run),
            Self::ConsumeSpread => return fixtures.consumptions(Spenders::Spread, "", run),
        };
        Workload { requests }
    }
}
