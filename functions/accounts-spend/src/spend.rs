//! The lines of an open period: what was billed in advance, what was used, and the bounds of both.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::Value;
use shared::http::problem::Problem;
use shared::money::{AnchoredPeriod, Money, PeriodPart, PeriodShare, Rounding};
use shared::rating::plan_terms::PlanTerms;
use shared::rating::{Billing, Charge, Item, Model, Number, Phase, Plan, Usage};

use crate::facts::{Billed, Subscription, Used};
use crate::operations::{
    ExpectedSpend, ProjectionMethod, SpendLine, SpendLineKind, SubscriptionSpend, UnratedCharge,
    UnratedReason,
};

/// What the open period of a subscription has cost so far, and what it will come to.
///
/// # Errors
/// A 500 for facts that contradict each other.
pub fn of(subscription: &Subscription) -> Result<SubscriptionSpend, Problem> {
    let mut terms = PlanTerms::stored(&subscription.terms)?;
    for wanted in &subscription.price_overrides {
        let mut charges = terms.charges.iter_mut();
        let charge = charges.find(|charge| charge.code == wanted.charge);
        set_price(charge, wanted.price)?;
    }
    let share = paid_share(subscription)?;
    let bounds = Bounds {
        minimum: prorated(terms.minimum_commitment, share, &terms)?,
        maximum: prorated(terms.maximum_spend, share, &terms)?,
    };
    let plan = billed_later(terms, share)?;
    let used = rate(&plan, &subscription.used, |used| used.usage.as_ref())?;
    let lines = so_far(&plan, &subscription.billed, used.lines, &bounds)?;
    let is_projected = subscription
        .used
        .iter()
        .all(|used| used.usage.is_none() || used.expected.is_some());
    let expected = if is_projected {
        let used = rate(&plan, &subscription.used, |used| used.expected.as_ref())?;
        Some(expected(&plan, &subscription.billed, used.lines, &bounds)?)
    } else {
        None
    };
    Ok(SubscriptionSpend {
        subscription_id: subscription.subscription_id,
        plan: subscription.plan.clone(),
        plan_version: subscription.plan_version,
        period_started_at: subscription.period_started_at.clone(),
        period_ends_at: subscription.period_ends_at.clone(),
        usage_from: subscription.usage_from.clone(),
        usage_until: subscription.usage_until.clone(),
        total: sum(&plan, &lines)?,
        lines,
        unrated: used.unrated,
        expected,
    })
}

/// Gives a charge another price than the plan's, which was checked when it was agreed upon.
fn set_price(charge: Option<&mut Charge>, price: Money) -> Result<(), Problem> {
    let place = match charge.map(|charge| &mut charge.model) {
        Some(Model::Flat { amount }) => amount,
        Some(Model::PerUnit { unit_price }) => unit_price,
        _ => return Err(Problem::internal()),
    };
    *place = Number::from_decimal(price.amount()).ok_or_else(Problem::internal)?;
    Ok(())
}

/// The least and the most that a period costs.
struct Bounds {
    minimum: Option<Money>,
    maximum: Option<Money>,
}

/// The part of the period that is paid for; nothing if none is.
fn paid_share(subscription: &Subscription) -> Result<Option<PeriodShare>, Problem> {
    let Some(paid) = subscription.paid_from else {
        return Ok(None);
    };
    let (whole, secs) = (&subscription.whole, &subscription.whole_secs);
    let from = paid.date.clamp(whole.start, whole.end);
    let from_secs = paid.secs.clamp(secs.start, secs.end);
    let part = PeriodPart::new(from..whole.end, from_secs..secs.end);
    let share = AnchoredPeriod::new(whole.clone(), subscription.anchor_day)
        .and_then(|period| period.with_secs(secs.clone()))
        .and_then(|period| subscription.proration.share(&period, &part))
        .map_err(|_| Problem::internal())?;
    Ok((share.count() > 0).then_some(share))
}

/// What of an amount falls on the part that is paid for; nothing where no part is.
fn prorated(
    amount: Option<Number>,
    share: Option<PeriodShare>,
    terms: &PlanTerms,
) -> Result<Option<Money>, Problem> {
    let (Some(amount), Some(share)) = (amount, share) else {
        return Ok(None);
    };
    let whole = Money::new(amount.to_decimal(), terms.currency);
    let part = share.of(whole, Rounding::HalfEven);
    part.map(Some).map_err(|_| Problem::internal())
}

/// The charges that are billed when the period has ended, with the amounts of a part of it.
fn billed_later(terms: PlanTerms, share: Option<PeriodShare>) -> Result<Plan, Problem> {
    let currency = terms.currency;
    let part_of = |number: &mut Number, rounding: Rounding| {
        let part = match share {
            None => Money::zero(currency),
            Some(share) => share
                .of(Money::new(number.to_decimal(), currency), rounding)
                .map_err(|_| Problem::internal())?,
        };
        *number = Number::from_decimal(part.amount()).ok_or_else(Problem::internal)?;
        Ok::<(), Problem>(())
    };
    let mut plan = PlanTerms {
        minimum_commitment: None,
        maximum_spend: None,
        trial: None,
        ..terms
    };
    plan.charges
        .retain(|charge| charge.billing == Billing::Arrears);
    for charge in &mut plan.charges {
        let rounding = charge.rounding;
        if let Model::Flat { amount } = &mut charge.model {
            part_of(amount, rounding)?;
        }
        for bound in [&mut charge.minimum, &mut charge.maximum]
            .into_iter()
            .flatten()
        {
            part_of(bound, rounding)?;
        }
    }
    Ok(plan.into_plan("plan", "Plan"))
}

/// Charges with their lines, and those that have none.
struct RatedUsage {
    lines: Vec<SpendLine>,
    unrated: Vec<UnratedCharge>,
}

/// The lines for one of the two usages of each charge. A charge that cannot be rated is left out, and
/// takes no free units.
fn rate<'a>(
    plan: &Plan,
    used: &'a [Used],
    which: impl Fn(&'a Used) -> Option<&'a Value>,
) -> Result<RatedUsage, Problem> {
    let mut plan = plan.clone();
    let mut unrated = Vec::new();
    let mut usage: BTreeMap<String, Usage> = BTreeMap::new();
    let mut leave_out = |plan: &mut Plan, code: &str, reason: UnratedReason| {
        plan.charges.retain(|charge| charge.code != code);
        unrated.push(UnratedCharge {
            charge: code.to_owned(),
            reason,
        });
    };
    for one in used {
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

fn billed_lines(billed: &[Billed]) -> impl Iterator<Item = SpendLine> + '_ {
    billed.iter().map(|billed| SpendLine {
        kind: SpendLineKind::Billed,
        charge: Some(billed.charge.clone()),
        description: billed.description.clone(),
        quantity: None,
        unit_price: None,
        amount: billed.amount,
    })
}

fn so_far(
    plan: &Plan,
    billed: &[Billed],
    used: Vec<SpendLine>,
    bounds: &Bounds,
) -> Result<Vec<SpendLine>, Problem> {
    let mut lines: Vec<_> = billed_lines(billed).chain(used).collect();
    let total = sum(plan, &lines)?;
    if let Some(maximum) = bounds.maximum
        && total.amount() > maximum.amount()
    {
        lines.push(adjustment(
            SpendLineKind::MaximumSpend,
            "Maximum spend",
            maximum,
            total,
        )?);
    }
    Ok(lines)
}

fn expected(
    plan: &Plan,
    billed: &[Billed],
    used: Vec<SpendLine>,
    bounds: &Bounds,
) -> Result<ExpectedSpend, Problem> {
    let mut lines = so_far(plan, billed, used, bounds)?;
    let total = sum(plan, &lines)?;
    if let Some(minimum) = bounds.minimum
        && total.amount() < minimum.amount()
    {
        let kind = SpendLineKind::MinimumCommitment;
        lines.push(adjustment(kind, "Minimum commitment", minimum, total)?);
    }
    Ok(ExpectedSpend {
        method: ProjectionMethod::Linear,
        total: sum(plan, &lines)?,
        lines,
    })
}

/// The line that brings a total to a bound.
fn adjustment(
    kind: SpendLineKind,
    description: &str,
    bound: Money,
    total: Money,
) -> Result<SpendLine, Problem> {
    let amount = bound.checked_sub(total).map_err(|_| Problem::internal())?;
    Ok(SpendLine {
        kind,
        charge: None,
        description: description.to_owned(),
        quantity: None,
        unit_price: None,
        amount,
    })
}

fn sum(plan: &Plan, lines: &[SpendLine]) -> Result<Money, Problem> {
    let zero = Money::zero(plan.currency);
    lines
        .iter()
        .try_fold(zero, |sum, line| sum.checked_add(line.amount))
        .map_err(|_| Problem::internal())
}
