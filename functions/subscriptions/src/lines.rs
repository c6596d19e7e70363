//! What the charges of a subscription that are billed in advance cost, and which part of it falls
//! on the rest of a period.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{Days, NaiveDate};
use shared::http::problem::{FieldError, Problem};
use shared::http::time::Time;
use shared::money::{AnchoredPeriod, Money, PeriodPart, PeriodShare, Proration, Rounding};
use shared::rating::plan_terms::PlanTerms;
use shared::rating::{Billing, Charge, Number, Phase, Usage};

use crate::facts::{Facts, PeriodFacts, unix_secs};
use crate::subscription::{Line, PriceOverride, Subscription};

/// The metric whose quantity a subscription says.
const SEATS: &str = "seats";

/// A charge that is billed in advance, and what it costs for a whole period.
#[derive(Debug, Clone)]
pub struct Fee {
    charge: String,
    description: String,
    price: Money,
    rounding: Rounding,
}

impl Fee {
    /// Whether both cost the same for the same charge, however they are called.
    fn is_as(&self, other: &Self) -> bool {
        (&self.charge, self.price, self.rounding) == (&other.charge, other.price, other.rounding)
    }

    fn is_among(&self, fees: &[Self]) -> bool {
        fees.iter().any(|fee| fee.is_as(self))
    }
}

/// Whether the day of a moment belongs to what begins then, or to what has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOf {
    /// To what begins: at a start, the end of a trial, and other terms.
    WhatBegins,
    /// To what has ended: at a pause and the end.
    WhatEnds,
}

/// From when on the rest of a period is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    date: NaiveDate,
    secs: i64,
}

impl Edge {
    /// The edge at a moment.
    ///
    /// # Errors
    /// A 500 for a moment of which the facts do not know the date.
    pub fn at(facts: &Facts, at: &Time, day: DayOf) -> Result<Self, Problem> {
        // Where clocks skip the boundary over midnight, the moment has the date after it.
        let mut periods = facts.periods.iter();
        let date = match periods.find(|facts| facts.whole_started_at == *at) {
            Some(period) => period.whole_from,
            None => facts.date(at)?,
        };
        let date = match day {
            DayOf::WhatBegins => date,
            DayOf::WhatEnds => day_after(date),
        };
        Ok(Self {
            date,
            secs: unix_secs(at)?,
        })
    }

    /// The same, and no earlier date than the one after the date of `at`, which is paid for.
    ///
    /// # Errors
    /// As [`Edge::at`].
    pub fn after_day_of(mut self, facts: &Facts, at: &Time) -> Result<Self, Problem> {
        self.date = self.date.max(day_after(facts.date(at)?));
        Ok(self)
    }
}

fn day_after(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

/// The terms with other prices in the place of theirs.
///
/// # Errors
/// A 422 that names the overrides that do not fit the terms.
pub fn with_overrides(
    mut terms: PlanTerms,
    overrides: &[PriceOverride],
) -> Result<PlanTerms, Problem> {
    let currency = terms.currency;
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, wanted) in overrides.iter().enumerate() {
        let mut refuse = |member: &str, code: &'static str, message: String| {
            errors.push(FieldError {
                field: format!("price_overrides[{index}].{member}").into(),
                code,
                message: message.into(),
            });
        };
        if !seen.insert(&*wanted.charge) {
            refuse("charge", "repeated", "has a price already".to_owned());
            continue;
        }
        if wanted.price.currency() != currency {
            let message = format!("must be {currency}, the currency of the plan");
            refuse("price.currency", "mismatch", message);
            continue;
        }
        let mut charges = terms.charges.iter_mut();
        let Some(charge) = charges.find(|charge| charge.code == wanted.charge) else {
            let message = "is no charge of this version of the plan".to_owned();
            refuse("charge", "unknown", message);
            continue;
        };
        let price = Number::from_decimal(wanted.price.amount());
        let Some(place) = charge.model.agreed_price() else {
            let message = "has neither a flat price nor one for each unit".to_owned();
            refuse("charge", "not_allowed", message);
            continue;
        };
        if let Some(price) = price {
            *place = price;
        }
        if let Some(violation) = charge.check(currency).into_iter().next() {
            refuse(
                "price.amount",
                violation.code,
                violation.message.into_owned(),
            );
        }
    }
    if errors.is_empty() {
        Ok(terms)
    } else {
        Err(Problem::invalid_fields(errors))
    }
}

/// What the charges that are billed in advance cost for a whole period. Free units of the plan are
/// taken by usage that is billed later.
///
/// # Errors
/// A 422 when one of them costs too much.
pub fn fees(terms: &PlanTerms, quantity: u32) -> Result<Vec<Fee>, Problem> {
    let is_advance = |charge: &&Charge| charge.billing == Billing::Advance;
    let mut plan = PlanTerms {
        charges: terms.charges.iter().filter(is_advance).cloned().collect(),
        minimum_commitment: None,
        maximum_spend: None,
        trial: None,
        ..terms.clone()
    };
    let has_seats = |metric: &str| metric == SEATS;
    plan.included_units.retain(|units| has_seats(&units.metric));
    let is_counted = |charge: &&Charge| charge.metric.as_deref().is_some_and(has_seats);
    let usage: BTreeMap<String, Usage> = plan
        .charges
        .iter()
        .filter(is_counted)
        .map(|charge| (charge.code.clone(), Usage::Quantity(quantity.into())))
        .collect();
    let plan = plan.into_plan("plan", "Plan");
    let rated = plan.rate(&usage, Phase::Paid).map_err(|error| {
        Problem::invalid_field("quantity", error.reason.code(), error.to_string())
    })?;
    let fees = plan
        .charges
        .iter()
        .zip(rated.lines)
        .map(|(charge, line)| Fee {
            charge: charge.code.clone(),
            description: line.description,
            price: line.amount,
            rounding: line.rounding,
        });
    Ok(fees.collect())
}

/// The share that the rest of a period has, from an edge on; nothing if none is left.
fn rest(
    subscription: &Subscription,
    facts: &Facts,
    period: &PeriodFacts,
    edge: &Edge,
) -> Result<Option<(PeriodShare, Range<NaiveDate>)>, Problem> {
    let policy = Proration::from(subscription.proration);
    let mut whole = period.whole_from..period.whole_to;
    if policy == Proration::None {
        // What is not divided costs the same in a first period that is shorter.
        whole.start = facts.date(&period.period.started_at)?;
    }
    let from = edge.date.clamp(whole.start, whole.end.max(whole.start));
    if whole.is_empty() {
        return Ok(None);
    }
    let secs = unix_secs(&period.whole_started_at)?..unix_secs(&period.period.ends_at)?;
    let from_secs = edge.secs.clamp(secs.start, secs.end);
    let part = PeriodPart::new(from..whole.end, from_secs..secs.end);
    let share = AnchoredPeriod::new(whole.clone(), subscription.billing.anchor_day)
        .and_then(|period| period.with_secs(secs))
        .and_then(|period| policy.share(&period, &part))
        .map_err(|_| Problem::internal())?;
    Ok((share.count() > 0).then_some((share, from..whole.end)))
}

/// The lines for the rest of a period: what `charged` costs, and what is given back of `credited`.
/// A fee that is in both is in neither.
///
/// # Errors
/// A 500 for facts that contradict each other.
pub fn lines(
    subscription: &Subscription,
    facts: &Facts,
    edge: &Edge,
    credited: &[Fee],
    charged: &[Fee],
) -> Result<Vec<Line>, Problem> {
    let period = facts.period(subscription.period.index)?;
    let Some((share, dates)) = rest(subscription, facts, period, edge)? else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    let mut add = |fee: &Fee, is_credit: bool| {
        // Rounded as it was owed, so that what is given back of a part is what was owed for it.
        let amount = share.of(fee.price, fee.rounding);
        let amount = amount.map_err(|_| Problem::internal())?;
        let amount = if is_credit { -amount } else { amount };
        if !amount.is_zero() {
            lines.push(Line {
                period_index: subscription.period.index,
                charge: fee.charge.clone(),
                description: fee.description.clone(),
                amount,
                from: dates.start,
                to: dates.end,
                proration: subscription.proration,
                share: share.count(),
                share_of: share.period_count(),
            });
        }
        Ok::<(), Problem>(())
    };
    for fee in credited.iter().filter(|fee| !fee.is_among(charged)) {
        add(fee, true)?;
    }
    for fee in charged.iter().filter(|fee| !fee.is_among(credited)) {
        add(fee, false)?;
    }
    Ok(lines)
}

/// The sum of lines.
///
/// # Errors
/// A 422 when it is too large.
pub fn total(subscription: &Subscription, lines: &[Line]) -> Result<Money, Problem> {
    let zero = Money::zero(subscription.currency);
    let sum = lines
        .iter()
        .try_fold(zero, |sum, line| sum.checked_add(line.amount));
    let too_large = "is so large that the amounts cannot be added";
    sum.map_err(|_| Problem::invalid_field("quantity", "amount_too_large", too_large))
}
