//! What becomes of a subscription, by time and by what is asked of it. Everything here is pure: a
//! preview and the change itself call the same functions with the same facts.
//!
//! A subscription changes by steps. Time makes those that are due, in their order, before anything
//! else happens; `docs/subscriptions.md` has the table of what can be asked in which status.

use serde::Serialize;
use shared::http::problem::Problem;
use shared::http::time::Time;
use shared::rating::plan_terms::PlanTerms;

use crate::facts::{Billed, Facts, stored_terms};
use crate::lines::{self, DayOf, Edge, Fee};
use crate::operations::{ACTION_NOT_ALLOWED, CHANGE_PENDING, Changed};
use crate::subscription::{
    Action, CancelCredit, CancelTime, Cancellation, ChangeTime, Line, Pause, Pending,
    PriceOverride, Status, StepAction, Subscription, SubscriptionChange,
};

/// One version of a subscription, and what made it.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub action: StepAction,
    /// When it came to pass: when it was due, or when it was asked for.
    pub at: Time,
    /// Whether somebody asked for it.
    pub is_asked: bool,
    pub subscription: Subscription,
    pub lines: Vec<Line>,
}

/// What was decided.
#[derive(Debug)]
pub enum Decision {
    /// Time has done more than the facts tell, and nothing else was looked at.
    Behind(Vec<Step>),
    /// The steps, and what is answered.
    Done(Vec<Step>, Box<Changed>),
}

/// Decides what becomes of a subscription by what is asked of it.
///
/// # Errors
/// Why it cannot be done.
pub fn decide(facts: &Facts, action: &Action) -> Result<Decision, Problem> {
    let mut course = Course::of(facts)?;
    if !course.catch_up()? {
        return Ok(Decision::Behind(course.steps));
    }
    // A version without a plan is one of the plan that it has by now, and another was read.
    if let Action::Change(change) = action
        && change.plan_version.is_some()
        && change.plan.is_none()
        && course.subscription.plan != facts.subscription.plan
    {
        return Ok(Decision::Behind(course.steps));
    }
    let before = course.steps.len();
    match action {
        Action::Change(change) => course.change(change)?,
        Action::Cancel(cancellation) => course.cancel(cancellation)?,
        Action::Resume => course.resume()?,
        Action::Pause(pause) => course.pause(pause)?,
        Action::Unpause => course.unpause()?,
    }
    course.done(before)
}

/// Decides what time has done. The second of the two says whether that is all.
///
/// # Errors
/// A 500 for facts that contradict each other.
pub fn advance(facts: &Facts) -> Result<(Vec<Step>, bool), Problem> {
    let mut course = Course::of(facts)?;
    let is_complete = course.catch_up()?;
    Ok((course.steps, is_complete))
}

/// Decides how a new subscription begins, of which the facts have the draft, already with what was
/// asked for.
///
/// # Errors
/// Prices that do not fit the plan, and what costs too much.
pub fn create(facts: &Facts) -> Result<Decision, Problem> {
    let mut course = Course::of(facts)?;
    course.create()?;
    if !course.catch_up()? {
        return Ok(Decision::Behind(course.steps));
    }
    course.done(0)
}

/// Something that time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    // Of one moment, the first goes first: what has ended is not renewed, and a trial that ends with
    // a period is paid from the next one on.
    Cancel,
    Renew,
    Start,
    TrialEnd,
    Unpause,
}

/// When what is due next.
fn due(subscription: &Subscription) -> Option<(&Time, Due)> {
    let cancel = subscription.cancel_at.as_ref().map(|at| (at, Due::Cancel));
    let renew = Some((&subscription.period.ends_at, Due::Renew));
    let others = match subscription.status {
        Status::Scheduled => [cancel, Some((&subscription.starts_at, Due::Start)), None],
        Status::Trialing => {
            let trial_end = subscription.trial_ends_at.as_ref();
            [cancel, renew, trial_end.map(|at| (at, Due::TrialEnd))]
        }
        Status::Active => [cancel, renew, None],
        Status::Paused => {
            let resumes = subscription.resumes_at.as_ref();
            [cancel, renew, resumes.map(|at| (at, Due::Unpause))]
        }
        Status::Canceled => [None; 3],
    };
    others.into_iter().flatten().min()
}

/// A subscription on its way through steps.
struct Course<'a> {
    facts: &'a Facts,
    subscription: Subscription,
    /// What the charges cost for a period.
    fees: Vec<Fee>,
    /// What was billed of the current period.
    billed: Vec<Billed>,
    steps: Vec<Step>,
}

impl<'a> Course<'a> {
    fn of(facts: &'a Facts) -> Result<Self, Problem> {
        let subscription = facts.subscription.clone();
        let terms = stored_terms(Some(&facts.terms))?;
        let fees = fees_of(terms, &subscription.price_overrides, subscription.quantity)?;
        Ok(Self {
            facts,
            subscription,
            fees,
            billed: facts.billed.clone(),
            steps: Vec::new(),
        })
    }

    /// Makes the steps that are due. Whether those are all that are.
    fn catch_up(&mut self) -> Result<bool, Problem> {
        while let Some((at, due)) = due(&self.subscription) {
            if *at > self.facts.now {
                break;
            }
            let at = at.clone();
            match due {
                Due::Cancel => self.end(&at, false)?,
                Due::Start => {
                    let lines = self.start(&at)?;
                    self.step(StepAction::Started, at, false, lines);
                }
                Due::TrialEnd => {
                    self.subscription.status = Status::Active;
                    let lines = self.charge(&Edge::at(self.facts, &at, DayOf::WhatBegins)?)?;
                    self.step(StepAction::TrialEnded, at, false, lines);
                }
                Due::Unpause => self.go_on(&at, false)?,
                Due::Renew => {
                    if !self.renew(&at)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// The next version, with its lines.
    fn step(&mut self, action: StepAction, at: Time, is_asked: bool, lines: Vec<Line>) {
        self.subscription.version += 1;
        // Of one that was made after it started, time made the first steps before.
        if at > self.subscription.updated_at {
            self.subscription.updated_at = at.clone();
        }
        for line in &lines {
            self.note_billed(line);
        }
        self.steps.push(Step {
            action,
            at,
            is_asked,
            subscription: self.subscription.clone(),
            lines,
        });
    }

    fn note_billed(&mut self, line: &Line) {
        let mut billed = self.billed.iter_mut();
        match billed.find(|billed| billed.charge == line.charge) {
            // Neither is larger than a line can be.
            Some(billed) => {
                billed.amount = billed
                    .amount
                    .checked_add(line.amount)
                    .unwrap_or(billed.amount);
            }
            None => self.billed.push(Billed {
                charge: line.charge.clone(),
                description: line.description.clone(),
                amount: line.amount,
            }),
        }
    }

    /// What is answered, with the lines of the steps from `from` on.
    fn done(self, from: usize) -> Result<Decision, Problem> {
        let steps = self.steps.iter().skip(from);
        let lines: Vec<Line> = steps.flat_map(|step| step.lines.iter().cloned()).collect();
        let total = lines::total(&self.subscription, &lines)?;
        let changed = Changed {
            subscription: self.subscription,
            lines,
            total,
        };
        Ok(Decision::Done(self.steps, Box::new(changed)))
    }

    /// Lines for what the rest of the period costs from an edge on.
    fn charge(&self, edge: &Edge) -> Result<Vec<Line>, Problem> {
        lines::lines(&self.subscription, self.facts, edge, &[], &self.fees)
    }

    /// Begins a subscription at its start, and returns what it owes then.
    fn start(&mut self, at: &Time) -> Result<Vec<Line>, Problem> {
        let trial_end = self.subscription.trial_ends_at.as_ref();
        if trial_end.is_some_and(|trial_end| trial_end > at) {
            self.subscription.status = Status::Trialing;
            return Ok(Vec::new());
        }
        self.subscription.status = Status::Active;
        self.charge(&Edge::at(self.facts, at, DayOf::WhatBegins)?)
    }

    fn create(&mut self) -> Result<(), Problem> {
        let now = self.facts.now.clone();
        let starts_at = self.subscription.starts_at.clone();
        let lines = if starts_at <= now {
            self.start(&starts_at)?
        } else {
            Vec::new()
        };
        self.step(StepAction::Created, now, true, lines);
        Ok(())
    }

    /// Begins the next period, with the terms that wait for it. Whether the facts know it.
    fn renew(&mut self, at: &Time) -> Result<bool, Problem> {
        let facts = self.facts;
        let Some(next) = facts.period_after(self.subscription.period.index) else {
            return Ok(false);
        };
        self.subscription.period = next.period.clone();
        self.billed.clear();
        if let Some(pending) = self.subscription.pending_change.take() {
            let terms = stored_terms(self.facts.pending_terms.as_ref())?;
            self.fees = fees_of(terms, &pending.price_overrides, pending.quantity)?;
            self.subscription.plan = pending.plan;
            self.subscription.plan_version = pending.plan_version;
            self.subscription.quantity = pending.quantity;
            self.subscription.price_overrides = pending.price_overrides;
        }
        let lines = if self.subscription.status == Status::Active {
            self.charge(&Edge::at(self.facts, at, DayOf::WhatBegins)?)?
        } else {
            Vec::new()
        };
        self.step(StepAction::Renewed, at.clone(), false, lines);
        Ok(true)
    }

    fn require(&self, action: &str, allowed: &[Status]) -> Result<(), Problem> {
        let status = self.subscription.status;
        if allowed.contains(&status) {
            return Ok(());
        }
        Err(ACTION_NOT_ALLOWED.because(format!(
            "A subscription that is {} cannot be {action}; nothing was changed.",
            status.as_str()
        )))
    }

    fn change(&mut self, change: &SubscriptionChange) -> Result<(), Problem> {
        use Status::{Active, Paused, Scheduled, Trialing};
        let when = change.when.unwrap_or_default();
        match when {
            // Of a pause it is not known for how much of the day it began on which fees were paid.
            ChangeTime::Now => self.require("changed", &[Scheduled, Trialing, Active])?,
            ChangeTime::PeriodEnd => self.require(
                "changed at the end of its period",
                &[Trialing, Active, Paused],
            )?,
        }
        if self.subscription.pending_change.is_some() {
            return Err(CHANGE_PENDING.because(
                "Withdraw it with POST …/resume first, and send this again; nothing was changed.",
            ));
        }
        let (wanted, terms) = self.wanted(change)?;
        let current = (
            &self.subscription.plan,
            self.subscription.plan_version,
            self.subscription.quantity,
            &self.subscription.price_overrides,
        );
        let others = (
            &wanted.plan,
            wanted.plan_version,
            wanted.quantity,
            &wanted.price_overrides,
        );
        if current == others {
            return Ok(());
        }
        let fees = lines::fees(&terms, wanted.quantity)?;
        let now = self.facts.now.clone();
        if when == ChangeTime::PeriodEnd {
            self.subscription.pending_change = Some(wanted);
            self.step(StepAction::ChangeScheduled, now, true, Vec::new());
            return Ok(());
        }
        let lines = if self.subscription.status == Status::Active {
            let edge = Edge::at(self.facts, &now, DayOf::WhatBegins)?;
            lines::lines(&self.subscription, self.facts, &edge, &self.fees, &fees)?
        } else {
            Vec::new()
        };
        self.fees = fees;
        self.subscription.plan = wanted.plan;
        self.subscription.plan_version = wanted.plan_version;
        self.subscription.quantity = wanted.quantity;
        self.subscription.price_overrides = wanted.price_overrides;
        self.step(StepAction::Changed, now, true, lines);
        Ok(())
    }

    /// The terms that a change asks for, with its own prices in place.
    fn wanted(&self, change: &SubscriptionChange) -> Result<(Pending, PlanTerms), Problem> {
        let current = &self.subscription;
        let mut wanted = Pending {
            plan: current.plan.clone(),
            plan_version: current.plan_version,
            quantity: current.quantity,
            price_overrides: current.price_overrides.clone(),
        };
        let mut document = if current.plan_version == self.facts.subscription.plan_version
            && current.plan == self.facts.subscription.plan
        {
            Some(&self.facts.terms)
        } else {
            // What was pending has come to pass meanwhile.
            self.facts.pending_terms.as_ref()
        };
        if let Some(requested) = &self.facts.requested {
            if requested.currency != current.currency {
                let message = format!("must be a plan in {}", current.currency);
                return Err(Problem::invalid_field("plan", "mismatch", message));
            }
            // The periods stay as they are, and the prices of both must be for the same.
            if requested.billing_period != self.facts.billing_period {
                let message = format!("must be a plan by the {}", self.facts.billing_period);
                return Err(Problem::invalid_field("plan", "mismatch", message));
            }
            wanted.plan = requested.plan.clone();
            wanted.plan_version = requested.plan_version;
            document = Some(&requested.terms);
        }
        if let Some(quantity) = &change.quantity {
            // There are at most a million, so the number fits.
            wanted.quantity = u32::try_from(quantity.0).unwrap_or(u32::MAX);
        }
        if let Some(overrides) = &change.price_overrides {
            let overrides = overrides.0.iter().cloned().map(PriceOverride::from);
            wanted.price_overrides = overrides.collect();
        }
        let terms = lines::with_overrides(stored_terms(document)?, &wanted.price_overrides)?;
        Ok((wanted, terms))
    }

    fn cancel(&mut self, cancellation: &Cancellation) -> Result<(), Problem> {
        use Status::{Active, Paused, Scheduled, Trialing};
        let now = self.facts.now.clone();
        let credit = cancellation.credit.unwrap_or_default();
        let at = match (cancellation.when, cancellation.at) {
            (CancelTime::Now, _) => {
                self.require("canceled", &[Scheduled, Trialing, Active, Paused])?;
                self.subscription.cancel_credit = Some(credit);
                return self.end(&now, true);
            }
            (CancelTime::Date, Some(at)) => {
                self.require("canceled", &[Scheduled, Trialing, Active, Paused])?;
                let at = at.to_time();
                if at <= now {
                    let message = "must be later than now";
                    return Err(Problem::invalid_field("at", "too_early", message));
                }
                at
            }
            (CancelTime::PeriodEnd | CancelTime::Date, _) => {
                self.require(
                    "canceled at the end of its period",
                    &[Trialing, Active, Paused],
                )?;
                self.subscription.period.ends_at.clone()
            }
        };
        self.subscription.cancel_at = Some(at);
        self.subscription.cancel_credit = Some(credit);
        self.step(StepAction::CancelScheduled, now, true, Vec::new());
        Ok(())
    }

    /// Ends it, and gives back what was decided.
    fn end(&mut self, at: &Time, is_asked: bool) -> Result<(), Problem> {
        let lines = match self.subscription.cancel_credit.unwrap_or_default() {
            CancelCredit::None => Vec::new(),
            CancelCredit::Unused if self.subscription.status == Status::Active => {
                let edge = Edge::at(self.facts, at, DayOf::WhatEnds)?;
                lines::lines(&self.subscription, self.facts, &edge, &self.fees, &[])?
            }
            CancelCredit::Unused => Vec::new(),
            CancelCredit::Full => self.give_back_all()?,
        };
        self.subscription.status = Status::Canceled;
        self.subscription.cancel_at = Some(at.clone());
        self.subscription.ended_at = Some(at.clone());
        self.subscription.paused_at = None;
        self.subscription.resumes_at = None;
        self.subscription.pending_change = None;
        let credit = self.subscription.cancel_credit.unwrap_or_default();
        self.subscription.cancel_credit = Some(credit);
        self.step(StepAction::Canceled, at.clone(), is_asked, lines);
        Ok(())
    }

    /// Lines that give back whatever was billed of the period.
    fn give_back_all(&self) -> Result<Vec<Line>, Problem> {
        let period = self.facts.period(self.subscription.period.index)?;
        let from = self.facts.date(&period.period.started_at)?;
        let billed = self.billed.iter().filter(|billed| !billed.amount.is_zero());
        let line = |billed: &Billed| Line {
            period_index: self.subscription.period.index,
            charge: billed.charge.clone(),
            description: billed.description.clone(),
            amount: -billed.amount,
            from,
            to: period.whole_to,
            proration: self.subscription.proration,
            share: 1,
            share_of: 1,
        };
        Ok(billed.map(line).collect())
    }

    fn resume(&mut self) -> Result<(), Problem> {
        use Status::{Active, Paused, Scheduled, Trialing};
        self.require("resumed", &[Scheduled, Trialing, Active, Paused])?;
        let is_to_change = self.subscription.pending_change.take().is_some();
        let is_to_end = self.subscription.cancel_at.take().is_some();
        if !is_to_change && !is_to_end {
            return Err(ACTION_NOT_ALLOWED.because(
                "Neither a cancellation nor a change is to happen later; nothing was changed.",
            ));
        }
        self.subscription.cancel_credit = None;
        self.step(
            StepAction::Resumed,
            self.facts.now.clone(),
            true,
            Vec::new(),
        );
        Ok(())
    }

    fn pause(&mut self, pause: &Pause) -> Result<(), Problem> {
        self.require("paused", &[Status::Active])?;
        let now = self.facts.now.clone();
        let resumes_at = pause.resumes_at.map(|at| at.to_time());
        if resumes_at.as_ref().is_some_and(|at| *at <= now) {
            let message = "must be later than now";
            return Err(Problem::invalid_field("resumes_at", "too_early", message));
        }
        let edge = Edge::at(self.facts, &now, DayOf::WhatEnds)?;
        let lines = lines::lines(&self.subscription, self.facts, &edge, &self.fees, &[])?;
        self.subscription.status = Status::Paused;
        self.subscription.paused_at = Some(now.clone());
        self.subscription.resumes_at = resumes_at;
        self.step(StepAction::Paused, now, true, lines);
        Ok(())
    }

    fn unpause(&mut self) -> Result<(), Problem> {
        self.require("unpaused", &[Status::Paused])?;
        self.go_on(&self.facts.now.clone(), true)
    }

    /// Ends a pause. The day on which it began is paid for, if it was in this period.
    fn go_on(&mut self, at: &Time, is_asked: bool) -> Result<(), Problem> {
        let mut edge = Edge::at(self.facts, at, DayOf::WhatBegins)?;
        if let Some(paused_at) = self.subscription.paused_at.take()
            && paused_at >= self.subscription.period.started_at
        {
            edge = edge.after_day_of(self.facts, &paused_at)?;
        }
        self.subscription.status = Status::Active;
        self.subscription.resumes_at = None;
        let lines = self.charge(&edge)?;
        self.step(StepAction::Unpaused, at.clone(), is_asked, lines);
        Ok(())
    }
}

/// What the charges cost for a period.
fn fees_of(
    terms: PlanTerms,
    overrides: &[PriceOverride],
    quantity: u32,
) -> Result<Vec<Fee>, Problem> {
    lines::fees(&lines::with_overrides(terms, overrides)?, quantity)
}
