//! The lines of an open period: what was billed in advance, what was used, and the bounds of both.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::Value;
use shared::http::problem::Problem;
use shared::money::{AnchoredPeriod, Currency, Money, PeriodPart, PeriodShare, Rounding};
use shared::rating::plan_terms::PlanTerms;
use shared::rating::{Billing, Charge, Item, Model, Number, Phase, Plan, Usage};

use crate::facts::{Billed, Segment, Subscription, Used};
use crate::operations::{
    ExpectedSpend, ProjectionMethod, SpendLine, SpendLineKind, SubscriptionSpend, UnratedCharge,
    UnratedReason,
};

/// What the open period of a subscription has cost so far, and what it will come to.
///
/// # Errors
/// A 500 for facts that contradict each other.
pub fn of(subscription: &Subscription) -> Result<SubscriptionSpend, Problem> {
    let currency = subscription.currency;
    let billed = billed_lines(&subscription.billed);
    let mut so_far = Spend::of(currency, billed.clone());
    let mut expected = Spend::of(currency, billed);
    let mut is_projected = true;
    for segment in &subscription.segments {
        let terms = Terms::of(subscription, segment)?;
        let used = rate(&terms, segment, |used| used.usage.as_ref())?;
        if segment.is_open {
            let used_then = rate(&terms, segment, |used| used.expected.as_ref())?;
            let has_all = used_then.unrated.len() == used.unrated.len();
            let is_known = |used: &Used| used.usage.is_none() || used.expected.is_some();
            is_projected = has_all && segment.used.iter().all(is_known);
            expected.lines.extend(used_then.lines);
        } else {
            expected.lines.extend(used.lines.iter().cloned());
        }
        for of in [&mut so_far, &mut expected] {
            of.add_bounds(&terms)?;
        }
        so_far.lines.extend(used.lines);
        for charge in used.unrated {
            if !so_far.unrated.contains(&charge) {
                so_far.unrated.push(charge);
            }
        }
    }
    so_far.limit()?;
    let expected = if is_projected {
        expected.limit()?;
        expected.commit()?;
        Some(ExpectedSpend {
            method: ProjectionMethod::Linear,
            total: expected.total()?,
            lines: expected.lines,
        })
    } else {
        None
    };
    Ok(SubscriptionSpend {
        subscription_id: subscription.subscription_id,
        plan: subscription.plan.clone(),
        plan_version: subscription.plan_version,
        period_started_at: subscription.period_started_at.clone(),
        period_ends_at: subscription.period_ends_at.clone(),
        total: so_far.total()?,
        lines: so_far.lines,
        unrated: so_far.unrated,
        expected,
    })
}

/// The lines of a period, and the bounds of their sum.
struct Spend {
    currency: Currency,
    lines: Vec<SpendLine>,
    unrated: Vec<UnratedCharge>,
    /// The least that the period costs: the sum of what the segments have of theirs.
    minimum: Money,
    /// The most; none if a segment has none.
    maximum: Option<Money>,
    has_segments: bool,
}

impl Spend {
    fn of(currency: Currency, lines: Vec<SpendLine>) -> Self {
        Self {
            currency,
            lines,
            unrated: Vec::new(),
            minimum: Money::zero(currency),
            maximum: Some(Money::zero(currency)),
            has_segments: false,
        }
    }

    fn add_bounds(&mut self, terms: &Terms) -> Result<(), Problem> {
        self.has_segments = true;
        self.minimum = plus(self.minimum, terms.minimum)?;
        self.maximum = match (self.maximum, terms.maximum) {
            (Some(maximum), Some(more)) => Some(plus(maximum, more)?),
            _ => None,
        };
        Ok(())
    }

    fn total(&self) -> Result<Money, Problem> {
        let mut amounts = self.lines.iter().map(|line| line.amount);
        amounts.try_fold(Money::zero(self.currency), plus)
    }

    fn limit(&mut self) -> Result<(), Problem> {
        let total = self.total()?;
        match self.maximum {
            Some(maximum) if self.has_segments && total.amount() > maximum.amount() => {
                self.bring_to(maximum, total, SpendLineKind::MaximumSpend, "Maximum spend")
            }
            _ => Ok(()),
        }
    }

    fn commit(&mut self) -> Result<(), Problem> {
        let total = self.total()?;
        if total.amount() < self.minimum.amount() {
            let kind = SpendLineKind::MinimumCommitment;
            return self.bring_to(self.minimum, total, kind, "Minimum commitment");
        }
        Ok(())
    }

    /// Adds the line that brings the total to a bound.
    fn bring_to(
        &mut self,
        bound: Money,
        total: Money,
        kind: SpendLineKind,
        description: &str,
    ) -> Result<(), Problem> {
        self.lines.push(SpendLine {
            kind,
            charge: None,
            description: description.to_owned(),
            quantity: None,
            unit_price: None,
            from: None,
            until: None,
            amount: plus(bound, -total)?,
        });
        Ok(())
    }
}

fn plus(sum: Money, more: Money) -> Result<Money, Problem> {
    sum.checked_add(more).map_err(|_| Problem::internal())
}

/// The terms of a segment, brought to its part of the period.
struct Terms {
    /// The charges that are billed when the period has ended.
    plan: Plan,
    minimum: Money,
    maximum: Option<Money>,
}

impl Terms {
    /// A fee and a least are for what is paid for, and a most is for what is used: in a trial that
    /// does not cover usage both differ.
    fn of(subscription: &Subscription, segment: &Segment) -> Result<Self, Problem> {
        let mut terms = PlanTerms::stored(&segment.terms)?;
        for wanted in &segment.price_overrides {
            let mut charges = terms.charges.iter_mut();
            let charge = charges.find(|charge| charge.code == wanted.charge);
            set_price(charge, wanted.price)?;
        }
        let currency = terms.currency;
        let share = share(subscription, segment)?;
        let part = |number: Number, rounding: Rounding| match share {
            None => Ok(Money::zero(currency)),
            Some(share) => share
                .of(Money::new(number.to_decimal(), currency), rounding)
                .map_err(|_| Problem::internal()),
        };
        let paid_part = |number: Number, rounding: Rounding| {
            if segment.is_paid {
                part(number, rounding)
            } else {
                Ok(Money::zero(currency))
            }
        };
        let number =
            |money: Money| Number::from_decimal(money.amount()).ok_or_else(Problem::internal);
        let minimum = terms.minimum_commitment.take().unwrap_or(Number::ZERO);
        let minimum = paid_part(minimum, Rounding::HalfEven)?;
        let maximum = terms.maximum_spend.take();
        let maximum = maximum
            .map(|most| part(most, Rounding::HalfEven))
            .transpose()?;
        terms.trial = None;
        terms
            .charges
            .retain(|charge| charge.billing == Billing::Arrears);
        for charge in &mut terms.charges {
            let rounding = charge.rounding;
            if let Model::Flat { amount } = &mut charge.model {
                *amount = number(paid_part(*amount, rounding)?)?;
            }
            if let Some(least) = &mut charge.minimum {
                *least = number(paid_part(*least, rounding)?)?;
            }
            if let Some(most) = &mut charge.maximum {
                *most = number(part(*most, rounding)?)?;
            }
        }
        Ok(Self {
            plan: terms.into_plan("plan", "Plan"),
            minimum,
            maximum,
        })
    }
}

/// The part of the period that a segment is; nothing if it has no day.
fn share(subscription: &Subscription, segment: &Segment) -> Result<Option<PeriodShare>, Problem> {
    let (whole, secs) = (&subscription.whole, &subscription.whole_secs);
    let dates = segment.dates.start.clamp(whole.start, whole.end)
        ..segment.dates.end.clamp(whole.start, whole.end);
    let part_secs = segment.secs.start.clamp(secs.start, secs.end)
        ..segment.secs.end.clamp(secs.start, secs.end);
    let share = AnchoredPeriod::new(whole.clone(), subscription.anchor_day)
        .and_then(|period| period.with_secs(secs.clone()))
        .and_then(|period| {
            subscription
                .proration
                .share(&period, &PeriodPart::new(dates, part_secs))
        })
        .map_err(|_| Problem::internal())?;
    Ok((share.count() > 0).then_some(share))
}

/// Gives a charge another price than the plan's, which was checked when it was agreed upon.
fn set_price(charge: Option<&mut Charge>, price: Money) -> Result<(), Problem> {
    let place = charge.and_then(|charge| charge.model.agreed_price());
    *place.ok_or_else(Problem::internal)? =
        Number::from_decimal(price.amount()).ok_or_else(Problem::internal)?;
    Ok(())
}

/// Charges with their lines, and those that have none.
struct RatedUsage {
    lines: Vec<SpendLine>,
    unrated: Vec<UnratedCharge>,
}

/// The lines for one of the two usages of each charge. A charge that cannot be rated is left out, and
/// takes no free units.
fn rate<'a>(
    terms: &Terms,
    segment: &'a Segment,
    which: impl Fn(&'a Used) -> Option<&'a Value>,
) -> Result<RatedUsage, Problem> {
    let mut plan = terms.plan.clone();
    let mut unrated = Vec::new();
    let mut usage: BTreeMap<String, Usage> = BTreeMap::new();
    let mut leave_out = |plan: &mut Plan, code: &str, reason: UnratedReason| {
        plan.charges.retain(|charge| charge.code != code);
        unrated.push(UnratedCharge {
            charge: code.to_owned(),
            reason,
        });
    };
    for one in &segment.used {
        if let Some(reason) = one.unrated {
            leave_out(&mut plan, &one.charge, reason);
            continue;
        }
        match which(one).map(Usage::deserialize) {
            Some(Ok(read)) => {
                usage.insert(one.charge.clone(), read);
            }
            Some(Err(_)) => leave_out(&mut plan, &one.charge, UnratedReason::NoPrice),
            None => {}
        }
    }
    loop {
        usage.retain(|code, _| plan.charges.iter().any(|charge| charge.code == *code));
        match plan.rate(&usage, Phase::Paid) {
            Ok(rated) => {
                let lines = rated.lines.into_iter().map(|line| SpendLine {
                    kind: SpendLineKind::Usage,
                    charge: match line.item {
                        Item::Charge { charge } => Some(charge),
                        _ => None,
                    },
                    description: line.description,
                    quantity: line.quantity,
                    unit_price: line.unit_price,
                    from: Some(segment.usage_from.clone()),
                    until: Some(segment.usage_until.clone()),
                    amount: line.amount,
                });
                return Ok(RatedUsage {
                    lines: lines.collect(),
                    unrated,
                });
            }
            // Each time one charge fewer is left.
            Err(error) => match error.item {
                Item::Charge { charge } => leave_out(&mut plan, &charge, UnratedReason::NoPrice),
                _ => return Err(Problem::internal()),
            },
        }
    }
}

fn billed_lines(billed: &[Billed]) -> Vec<SpendLine> {
    let lines = billed.iter().map(|billed| SpendLine {
        kind: SpendLineKind::Billed,
        charge: Some(billed.charge.clone()),
        description: billed.description.clone(),
        quantity: None,
        unit_price: None,
        from: None,
        until: None,
        amount: billed.amount,
    });
    lines.collect()
}
