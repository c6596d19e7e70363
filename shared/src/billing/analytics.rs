//! What the figures of the platform share: the totals of credits and of subscriptions.

use crate::http::problem::Problem;
use crate::money::{Currency, Money};

/// Most days of a period: ten years with their leap days. Adding them up takes a tenth
/// of the time that a statement has.
pub const MAX_PERIOD_DAYS: i64 = 3_653;

crate::refusals! {
    /// More credits have lapsed at once than one request can account for.
    SETTLEMENT_PENDING = 503 "settlement_pending", "Credits that have lapsed are still being posted",
        "so many credits lapsed at once that the figures are not complete. The platform's upkeep posts them.";
}

/// [`SETTLEMENT_PENDING`].
pub fn settlement_pending() -> Problem {
    Problem {
        retry_after_secs: Some(1),
        ..SETTLEMENT_PENDING.because(
            "So many credits lapsed at once that the figures are not complete. The platform's upkeep posts them; try again once it has.",
        )
    }
}

/// What happened to credits in one currency.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct CreditTotals {
    /// Granted for payment.
    pub sold: Money,
    /// Granted without payment.
    pub promotional: Money,
    /// Spent. Later refunds are not subtracted.
    pub consumed: Money,
    /// Refunded after they were spent, on the day of the refund.
    pub refunded: Money,
    /// Expired.
    pub expired: Money,
    /// Voided before they were spent.
    pub voided: Money,
    /// The number of transactions in `consumed`.
    pub spends: u64,
}

impl CreditTotals {
    /// The totals of a time in which nothing happened.
    pub const fn zero(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            sold: zero,
            promotional: zero,
            consumed: zero,
            refunded: zero,
            expired: zero,
            voided: zero,
            spends: 0,
        }
    }
}

/// What subscriptions are worth, and how that changed. MRR is the monthly recurring
/// revenue.
#[shared::answer(read)]
#[derive(PartialEq, Eq)]
pub struct SubscriptionTotals {
    /// The MRR at the end: now, or when the interval ended.
    pub mrr: Money,
    /// The number of subscriptions at the end that are active or past due.
    pub active: u64,
    /// The MRR of organizations that paid for the first time.
    pub new_mrr: Money,
    /// The additional MRR of those that already paid.
    pub expansion_mrr: Money,
    /// The lost MRR of those that still pay, but less.
    pub contraction_mrr: Money,
    /// The MRR of those that stopped paying.
    pub churned_mrr: Money,
    /// The MRR of those that had stopped and pay again.
    pub reactivation_mrr: Money,
    /// The sum of these changes: new, expansion and reactivation, less contraction and churned.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "crate::http::input::SignedMoney")
    )]
    pub net_new_mrr: Money,
}

impl SubscriptionTotals {
    /// The totals of a time in which nothing changed.
    pub const fn unchanged(mrr: Money, active: u64) -> Self {
        let zero = Money::zero(mrr.currency());
        Self {
            mrr,
            active,
            new_mrr: zero,
            expansion_mrr: zero,
            contraction_mrr: zero,
            churned_mrr: zero,
            reactivation_mrr: zero,
            net_new_mrr: zero,
        }
    }
}
