//! What the figures of the platform share: the totals of credits and of subscriptions.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::http::problem::Problem;
use crate::money::decimal_text::DecimalText;
use crate::money::{Currency, Money};

/// Most days of a period: ten years with their leap days. Adding them up takes a tenth
/// of the time that a statement has.
pub const MAX_PERIOD_DAYS: i64 = 3_653;

/// 503: more credits have lapsed at once than one request can account for.
pub fn settlement_pending() -> Problem {
    Problem {
        retry_after_secs: Some(1),
        ..Problem::new(
            503,
            "settlement_pending",
            "Credits that have lapsed are still being posted",
            "So many credits lapsed at once that the figures are not complete. Each request posts some of them; send it again.",
        )
    }
}

/// What happened to credits in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreditTotals {
    /// Granted for payment.
    pub sold: Money,
    /// Granted without payment.
    pub promotional: Money,
    /// Spent. Later refunds are not subtracted.
    pub consumed: Money,
    /// Refunded after they were spent.
    pub refunded: Money,
    /// Expired.
    pub expired: Money,
    /// Voided before they were spent.
    pub voided: Money,
    /// The number of transactions in `consumed`.
    pub spends: u64,
}

/// The same totals as the database writes them.
#[derive(Debug, Clone, Deserialize)]
pub struct CreditTotalsRow {
    sold: DecimalText,
    promotional: DecimalText,
    consumed: DecimalText,
    refunded: DecimalText,
    expired: DecimalText,
    voided: DecimalText,
    spends: u64,
}

impl CreditTotalsRow {
    /// The totals in their currency.
    pub fn in_currency(&self, currency: Currency) -> CreditTotals {
        let money = |amount: DecimalText| Money::new(amount.0, currency);
        CreditTotals {
            sold: money(self.sold),
            promotional: money(self.promotional),
            consumed: money(self.consumed),
            refunded: money(self.refunded),
            expired: money(self.expired),
            voided: money(self.voided),
            spends: self.spends,
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubscriptionTotals {
    /// The MRR at the end.
    pub mrr: Money,
    /// The number of paid subscriptions at the end.
    pub active: i64,
    /// The MRR of those who paid for the first time.
    pub new_mrr: Money,
    /// The additional MRR of those who already paid.
    pub expansion_mrr: Money,
    /// The lost MRR of those who still pay, but less.
    pub contraction_mrr: Money,
    /// The MRR of those who stopped paying.
    pub churned_mrr: Money,
    /// The MRR of those who had stopped and pay again.
    pub reactivation_mrr: Money,
    /// The sum of these changes.
    pub net_new_mrr: Money,
}

/// The changes of MRR as the database writes them.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct MovementsRow {
    new_mrr: DecimalText,
    expansion_mrr: DecimalText,
    contraction_mrr: DecimalText,
    churned_mrr: DecimalText,
    reactivation_mrr: DecimalText,
}

impl MovementsRow {
    /// No change.
    pub const ZERO: Self = Self {
        new_mrr: DecimalText(Decimal::ZERO),
        expansion_mrr: DecimalText(Decimal::ZERO),
        contraction_mrr: DecimalText(Decimal::ZERO),
        churned_mrr: DecimalText(Decimal::ZERO),
        reactivation_mrr: DecimalText(Decimal::ZERO),
    };

    /// The sum of the changes.
    ///
    /// # Errors
    /// A 500 if a sum needs more digits than a decimal has.
    pub fn net(&self) -> Result<Decimal, Problem> {
        let gained = self
            .new_mrr
            .0
            .checked_add(self.expansion_mrr.0)
            .and_then(|sum| sum.checked_add(self.reactivation_mrr.0));
        gained
            .and_then(|sum| sum.checked_sub(self.contraction_mrr.0))
            .and_then(|sum| sum.checked_sub(self.churned_mrr.0))
            .ok_or_else(Problem::internal)
    }

    /// The totals of a time with these changes. At its end the MRR is `mrr`, from
    /// `active` subscriptions.
    ///
    /// # Errors
    /// As [`MovementsRow::net`].
    pub fn ending_with(
        &self,
        mrr: Decimal,
        active: i64,
        currency: Currency,
    ) -> Result<SubscriptionTotals, Problem> {
        let money = |amount: Decimal| Money::new(amount, currency);
        Ok(SubscriptionTotals {
            mrr: money(mrr),
            active,
            new_mrr: money(self.new_mrr.0),
            expansion_mrr: money(self.expansion_mrr.0),
            contraction_mrr: money(self.contraction_mrr.0),
            churned_mrr: money(self.churned_mrr.0),
            reactivation_mrr: money(self.reactivation_mrr.0),
            net_new_mrr: money(self.net()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up() {
        let row: MovementsRow = serde_json::from_value(serde_json::json!({
            "new_mrr": "100", "expansion_mrr": "20", "contraction_mrr": "3.5",
            "churned_mrr": "50", "reactivation_mrr": "7"}))
        .expect("a row as the database writes it");
        assert_eq!(row.net().map(|net| net.to_string()), Ok("73.5".to_owned()));
        let largest = MovementsRow {
            new_mrr: DecimalText(Decimal::MAX),
            expansion_mrr: DecimalText(Decimal::MAX),
            ..MovementsRow::ZERO
        };
        assert_eq!(largest.net().map_err(|p| p.status), Err(500));
    }
}
