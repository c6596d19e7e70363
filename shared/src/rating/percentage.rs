//! Shares of the amounts of events, for example of payments.

use serde::{Deserialize, Serialize};

use super::error::Reason;
use super::exact_amount::ExactAmount;
use super::number::{Number, Percent};
use super::step::{Step, Trace};

/// A share of each event's amount, with a fixed fee beside it.
///
/// The first `free_events` events cost nothing. Later events use up `free_amount`
/// first: an event that fits into the rest of it costs nothing, and for an event that
/// exceeds it the rate applies to the excess only. Every event that is not free costs
/// its fee: the rate plus the fixed fee, raised to `per_event_minimum` and cut to
/// `per_event_maximum`.
#[shared::body]
#[derive(Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentage {
    /// The share.
    #[serde(default)]
    pub rate_percent: Percent,
    /// Due for every event that is not free.
    #[serde(default, skip_serializing_if = "Number::is_zero")]
    pub fixed_fee: Number,
    /// The number of events that cost nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub free_events: u32,
    /// The part of the amounts that costs nothing.
    #[serde(default, skip_serializing_if = "Number::is_zero")]
    pub free_amount: Number,
    /// The least that an event costs unless it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_event_minimum: Option<Number>,
    /// The most that an event costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_event_maximum: Option<Number>,
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Events of one kind, and the sum of their amounts.
#[derive(Default)]
struct Tally {
    events: u32,
    amount: ExactAmount,
}

impl Tally {
    fn count(&mut self, amount: ExactAmount) -> Result<(), Reason> {
        // There are no more events than usage rows.
        self.events = self.events.saturating_add(1);
        self.amount = self.amount.plus(amount)?;
        Ok(())
    }
}

impl Percentage {
    pub(super) fn price(
        &self,
        events: &[Number],
        trace: &mut impl Trace,
    ) -> Result<ExactAmount, Reason> {
        let free_events = events.len().min(self.free_events as usize);
        let (free, charged) = events.split_at(free_events);
        let mut free_amount = self.free_amount;
        let mut covered = Tally::default();
        let mut rated = Tally::default();
        let mut raised = Tally::default();
        let mut cut = Tally::default();
        let mut fees = ExactAmount::ZERO;
        for &amount in charged {
            let rated_amount = amount.saturating_sub(free_amount);
            if !free_amount.is_zero() {
                let used = amount.min(free_amount);
                covered.amount = covered.amount.plus(used.into())?;
                // Tested before it shrinks: an event of zero is free while something is
                // left.
                free_amount = free_amount.saturating_sub(used);
                if rated_amount.is_zero() {
                    covered.events = covered.events.saturating_add(1);
                    continue;
                }
            }
            rated.count(rated_amount.into())?;
            let fee = ExactAmount::product(rated_amount, self.rate_percent.as_share())?
                .plus(self.fixed_fee.into())?;
            fees = fees.plus(fee)?;
            let least = self.per_event_minimum.map(ExactAmount::from);
            let most = self.per_event_maximum.map(ExactAmount::from);
            if let Some(least) = least.filter(|least| fee < *least) {
                raised.count(least.minus(fee)?)?;
            } else if let Some(most) = most.filter(|most| fee > *most) {
                cut.count(most.minus(fee)?)?;
            }
        }
        let fixed = ExactAmount::product(rated.events.into(), self.fixed_fee)?;
        if !free.is_empty() {
            trace.step(|| Step::FreeEvents {
                events: u32::try_from(free.len()).unwrap_or(u32::MAX),
            });
        }
        if covered.amount != ExactAmount::ZERO || covered.events > 0 {
            trace.step(|| Step::FreeAmount {
                events: covered.events,
                amount: covered.amount,
            });
        }
        let rate = fees.minus(fixed)?;
        trace.step(|| Step::Rate {
            amount: rated.amount,
            rate_percent: self.rate_percent,
            subtotal: rate,
        });
        if !self.fixed_fee.is_zero() {
            trace.step(|| Step::FixedFees {
                events: rated.events,
                fixed_fee: self.fixed_fee,
                subtotal: fixed,
            });
        }
        if raised.events > 0 {
            trace.step(|| Step::RaisedEvents {
                events: raised.events,
                subtotal: raised.amount,
            });
        }
        if cut.events > 0 {
            trace.step(|| Step::CutEvents {
                events: cut.events,
                subtotal: cut.amount,
            });
        }
        fees.plus(raised.amount)?.plus(cut.amount)
    }
}
