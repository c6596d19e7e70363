//! The users: each with an account, doing one task of its persona after another with pauses in
//! between, on the same connections as every other benchmark. All of them run on one thread of
//! their own; how busy that was is part of the result.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use turnpike_tests::Random;

use crate::load::generator::{
    Connection, MAX_LATENCY_MICROS, STALL, exchange_on, latencies, thread_time,
};
use crate::load::response::Head;

use super::accounts::{Account, Accounts};
use super::placeholders::{self, Values};
use super::scenario::{Scenario, Step, Task};

/// How often the number of users is set to what its stage says.
const STEP: Duration = Duration::from_millis(100);

/// How often what came so far is told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Failures that are kept to be shown.
const ERRORS_KEPT: usize = 10;

/// What is to be run.
#[derive(Clone)]
pub struct Plan {
    /// Who does what.
    pub scenario: Scenario,
    /// With which accounts.
    pub accounts: Accounts,
    /// Users at the end of each stage, and how long that takes. What is recorded begins after the
    /// first.
    pub stages: Vec<(usize, Duration)>,
    /// The bounds of a pause between two tasks.
    pub pause: [Duration; 2],
    /// The hosts, which users are spread over.
    pub addresses: Vec<SocketAddr>,
    /// The first of the dates in the scenario, and the day after the last.
    pub days: (String, String),
    /// What makes ids and keys of this run unlike those of any other.
    pub run: u64,
}

/// What came of one step.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// Latencies in microseconds of the answers after the first stage that were as they should be.
    pub latencies: Histogram<u32>,
    /// Requests that failed, those of the first stage included.
    pub errors: u64,
    /// Answers after the first stage that came from the cache.
    pub hits: u64,
    /// Those that looked there in vain.
    pub misses: u64,
    /// All answers by their status, those of the first stage included.
    pub by_status: BTreeMap<u16, u64>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Step by step, as in the scenario.
    pub steps: Vec<StepOutcome>,
    /// From the end of the first stage to the end.
    pub measured: Duration,
    /// Spends that were acknowledged, those of the first stage included.
    pub spends: u64,
    /// Spends of which nobody knows, because no answer came or it was a 5xx.
    pub unknown_spends: u64,
    /// What went wrong first.
    pub first_errors: Vec<String>,
    /// The share of the measured time that the thread computed.
    pub generator_busy_percent: f64,
}

/// What came within a second or so.
#[derive(Debug, Clone)]
pub struct Told {
    /// When, since the run began.
    pub at: Duration,
    /// How long it took.
    pub within: Duration,
    /// Users at the moment.
    pub users: usize,
    /// Latencies in microseconds.
    pub latencies: Histogram<u32>,
    /// Requests that failed.
    pub errors: u64,
    /// Answers from the cache.
    pub hits: u64,
    /// Answers that looked there in vain.
    pub misses: u64,
    /// How long the thread computed.
    pub computed: Duration,
}

/// What the users share.
struct Run {
    plan: Plan,
    /// The number of each task's first step among all steps.
    first_steps: BTreeMap<String, usize>,
    cast: Vec<usize>,
    /// Users who are to act; one with a higher number leaves.
    target: Cell<usize>,
    present: RefCell<Vec<bool>>,
    record_from: Instant,
    is_over: Cell<bool>,
    steps: RefCell<Vec<StepOutcome>>,
    window: RefCell<Window>,
    spends: Cell<u64>,
    unknown_spends: Cell<u64>,
    first_errors: RefCell<Vec<String>>,
    next_unique: Cell<u64>,
}

struct Window {
    latencies: Histogram<u32>,
    errors: u64,
    hits: u64,
    misses: u64,
}

/// Does each task once, one after another: what cannot go well under load is found before it.
///
/// # Errors
/// There is no host, or no account for a persona. A request that fails is no error here, but
/// counted.
pub async fn rehearse(plan: Plan) -> Result<Outcome> {
    let run = Run::new(plan, Duration::ZERO)?;
    let mut connection = None;
    for task in &run.plan.scenario.tasks {
        let accounts = run.plan.accounts.of(&task.persona)?;
        let address = run.plan.addresses[0];
        run.act_out(task, accounts[0], &mut connection, address)
            .await;
    }
    Ok(run.outcome(0.0))
}

/// Runs the plan on this thread, which must be a local set's.
///
/// # Errors
/// There is no host, or no account for a persona; or a user panics. A request that fails is no
/// error here, but counted.
pub async fn run(plan: Plan, told: UnboundedSender<Told>) -> Result<Outcome> {
    let began = Instant::now();
    let first_stage = plan.stages.first().map(|stage| stage.1);
    let run = Rc::new(Run::new(plan, first_stage.unwrap_or_default())?);
    let mut users = JoinSet::new();
    let mut ticks = tokio::time::interval(STEP);
    let mut computed_at_first = None;
    let (mut told_at, mut told_computed) = (began, thread_time());
    loop {
        ticks.tick().await;
        let now = Instant::now();
        if computed_at_first.is_none() && now >= run.record_from {
            computed_at_first = Some(thread_time());
        }
        let target = users_at(&run.plan.stages, now.duration_since(began));
        run.target.set(target.unwrap_or_default());
        if now.duration_since(told_at) >= TOLD_EVERY || target.is_none() {
            let computed = thread_time();
            let within = now.duration_since(told_at);
            run.tell(began, within, computed.saturating_sub(told_computed), &told)?;
            (told_at, told_computed) = (now, computed);
        }
        let Some(target) = target else { break };
        for index in 0..target {
            if !std::mem::replace(&mut run.present.borrow_mut()[index], true) {
                users.spawn_local(act(Rc::clone(&run), index));
            }
        }
        while let Some(ended) = users.try_join_next() {
            ended.context("a user panicked")??;
        }
    }
    let computed = computed_at_first.map(|before| thread_time().saturating_sub(before));
    let measured = run.record_from.elapsed();
    // What is under way counts for the ledger, and no longer for the rate.
    run.is_over.set(true);
    let busy = computed.unwrap_or_default().as_secs_f64() / measured.as_secs_f64().max(0.001);
    let all_left = async {
        while let Some(ended) = users.join_next().await {
            ended.context("a user panicked")??;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(STALL + run.plan.pause[1], all_left)
        .await
        .context("a user does not leave")??;
    Ok(Outcome {
        measured,
        ..run.outcome(100.0 * busy)
    })
}

/// How many users there are to be; none after the last stage.
fn users_at(stages: &[(usize, Duration)], elapsed: Duration) -> Option<usize> {
    let (mut before, mut began) = (0, Duration::ZERO);
    for (users, time) in stages {
        if elapsed < began + *time {
            let share = (elapsed - began).as_secs_f64() / time.as_secs_f64();
            let (from, to) = (before as f64, *users as f64);
            return Some((from + (to - from) * share).round().max(1.0) as usize);
        }
        (before, began) = (*users, began + *time);
    }
    None
}

/// One user, until they are too many.
async fn act(run: Rc<Run>, index: usize) -> Result<()> {
    let persona = &run.plan.scenario.personas[run.cast[index]].name;
    let accounts = run.plan.accounts.of(persona)?;
    // The place among those of the same persona.
    let place = run.cast[..index]
        .iter()
        .filter(|one| **one == run.cast[index]);
    let account = accounts[place.count() % accounts.len()];
    let address = run.plan.addresses[index % run.plan.addresses.len()];
    let tasks: Vec<&Task> = run.plan.scenario.tasks_of(persona).collect();
    let mut random = Random::from_seed(run.plan.run ^ (index as u64).wrapping_mul(0x9e37));
    let mut connection = None;
    // Users who come at once do not all ask at once.
    tokio::time::sleep(run.plan.pause[1].mul_f64(unit(&mut random))).await;
    while index < run.target.get() {
        let task = draw(&tasks, &mut random)?;
        run.act_out(task, account, &mut connection, address).await;
        let [shortest, longest] = run.plan.pause;
        let pause = shortest + (longest - shortest).mul_f64(unit(&mut random));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    run.present.borrow_mut()[index] = false;
    Ok(())
}

/// From nought to one.
fn unit(random: &mut Random) -> f64 {
    random.below(1 << 20) as f64 / f64::from(1 << 20)
}

/// A task by its weight.
fn draw<'a>(tasks: &[&'a Task], random: &mut Random) -> Result<&'a Task> {
    let whole: u64 = tasks.iter().map(|task| u64::from(task.weight)).sum();
    let mut drawn = random.below(whole);
    for task in tasks {
        let weight = u64::from(task.weight);
        if drawn < weight {
            return Ok(task);
        }
        drawn -= weight;
    }
    bail!("a persona has no task")
}

impl Window {
    fn new() -> Result<Self> {
        Ok(Self {
            latencies: latencies()?,
            errors: 0,
            hits: 0,
            misses: 0,
        })
    }
}

impl Run {
    fn new(plan: Plan, first_stage: Duration) -> Result<Self> {
        ensure!(!plan.addresses.is_empty(), "there is no host");
        for persona in &plan.scenario.personas {
            plan.accounts.of(&persona.name)?;
        }
        let most_users = plan.stages.iter().map(|stage| stage.0).max();
        let most_users = most_users.unwrap_or_default();
        let none = StepOutcome {
            latencies: latencies()?,
            errors: 0,
            hits: 0,
            misses: 0,
            by_status: BTreeMap::new(),
        };
        let mut first_steps = BTreeMap::new();
        let mut steps = 0;
        for task in &plan.scenario.tasks {
            first_steps.insert(task.name.clone(), steps);
            steps += task.steps.len();
        }
        Ok(Self {
            first_steps,
            cast: plan.scenario.cast(most_users),
            target: Cell::new(0),
            present: RefCell::new(vec![false; most_users]),
            record_from: Instant::now() + first_stage,
            is_over: Cell::new(false),
            steps: RefCell::new(vec![none; steps]),
            window: RefCell::new(Window::new()?),
            spends: Cell::new(0),
            unknown_spends: Cell::new(0),
            first_errors: RefCell::default(),
            next_unique: Cell::new(0),
            plan,
        })
    }

    /// What came so far.
    fn outcome(&self, generator_busy_percent: f64) -> Outcome {
        Outcome {
            steps: self.steps.borrow().clone(),
            measured: self.record_from.elapsed(),
            spends: self.spends.get(),
            unknown_spends: self.unknown_spends.get(),
            first_errors: self.first_errors.borrow().clone(),
            generator_busy_percent,
        }
    }

    /// Does a task with an account, until a step fails.
    async fn act_out(
        &self,
        task: &Task,
        account: &Account,
        connection: &mut Option<Connection>,
        address: SocketAddr,
    ) {
        let mut values = account.values();
        values.insert("month_since".to_owned(), self.plan.days.0.clone());
        values.insert("until".to_owned(), self.plan.days.1.clone());
        let first = self.first_steps[&task.name];
        for (number, step) in task.steps.iter().enumerate() {
            let sent = self.send(first + number, step, &mut values, connection, address);
            if !sent.await {
                return;
            }
        }
    }

    /// Sends a request; whether it was answered as it should be.
    async fn send(
        &self,
        number: usize,
        step: &Step,
        values: &mut Values,
        connection: &mut Option<Connection>,
        address: SocketAddr,
    ) -> bool {
        let exchanged = async {
            let request = self.request(step, values)?;
            exchange_on(connection, address, &request).await
        };
        let exchanged = exchanged.await;
        let (latency, head) = match exchanged {
            Ok(exchanged) => exchanged,
            Err(error) => {
                self.fail(number, step, None, &error);
                return false;
            }
        };
        let body = connection.as_ref().map(|kept| kept.body(head));
        match judge(step, head, body.unwrap_or_default()) {
            Ok(saved) => {
                values.extend(saved);
                self.record(number, step, latency, head);
                true
            }
            Err(error) => {
                self.fail(number, step, Some(head), &error);
                false
            }
        }
    }

    fn request(&self, step: &Step, values: &Values) -> Result<Vec<u8>> {
        let fill = |text: &str| placeholders::fill(text, values, || self.unique());
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\n",
            step.method,
            fill(&step.path)?
        );
        if let Some(name) = step.bearer() {
            let token = values.get(name).context("nobody has signed in")?;
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if step.is_idempotent {
            head.push_str(&format!("idempotency-key: {}\r\n", self.unique()));
        }
        let body = match step.body() {
            Some((media_type, text)) => {
                head.push_str(&format!("content-type: {media_type}\r\n"));
                fill(text)?
            }
            None => String::new(),
        };
        if step.method != "GET" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        Ok(format!("{head}\r\n{body}").into_bytes())
    }

    fn unique(&self) -> String {
        let number = self.next_unique.get();
        self.next_unique.set(number + 1);
        format!("load-{:016x}-{number:x}", self.plan.run)
    }

    fn record(&self, number: usize, step: &Step, latency: Duration, head: Head) {
        if step.is_spend {
            self.spends.set(self.spends.get() + 1);
        }
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MAX_LATENCY_MICROS);
        let mut window = self.window.borrow_mut();
        window.latencies.saturating_record(micros.max(1));
        window.hits += u64::from(head.is_cache_hit);
        window.misses += u64::from(head.is_cache_miss);
        let outcome = &mut self.steps.borrow_mut()[number];
        *outcome.by_status.entry(head.status).or_default() += 1;
        if Instant::now() >= self.record_from && !self.is_over.get() {
            outcome.latencies.saturating_record(micros.max(1));
            outcome.hits += u64::from(head.is_cache_hit);
            outcome.misses += u64::from(head.is_cache_miss);
        }
    }

    fn fail(&self, number: usize, step: &Step, head: Option<Head>, error: &anyhow::Error) {
        let is_unknown = head.is_none_or(|head| head.status >= 500);
        if step.is_spend && is_unknown {
            self.unknown_spends.set(self.unknown_spends.get() + 1);
        }
        self.window.borrow_mut().errors += 1;
        let outcome = &mut self.steps.borrow_mut()[number];
        if let Some(head) = head {
            *outcome.by_status.entry(head.status).or_default() += 1;
        }
        outcome.errors += 1;
        let mut kept = self.first_errors.borrow_mut();
        if kept.len() < ERRORS_KEPT {
            kept.push(format!("{}: {error:#}", step.name));
        }
    }

    fn tell(
        &self,
        began: Instant,
        within: Duration,
        computed: Duration,
        told: &UnboundedSender<Told>,
    ) -> Result<()> {
        let window = self.window.replace(Window::new()?);
        let present = self.present.borrow();
        let news = Told {
            at: began.elapsed(),
            within,
            users: present.iter().filter(|is_present| **is_present).count(),
            latencies: window.latencies,
            errors: window.errors,
            hits: window.hits,
            misses: window.misses,
            computed,
        };
        // Nobody need listen.
        let _ = told.send(news);
        Ok(())
    }
}

/// What later steps need of an answer, if it is as it should be.
fn judge(step: &Step, head: Head, body: &[u8]) -> Result<Vec<(String, String)>> {
    if head.status != step.status {
        let quoted = String::from_utf8_lossy(&body[..body.len().min(300)]);
        bail!("answered {} and not {}: {quoted}", head.status, step.status);
    }
    if step.has.is_none() && step.save.is_empty() {
        return Ok(Vec::new());
    }
    let document: Value =
        serde_json::from_slice(body).context("answered something else than JSON")?;
    let found = |pointer: &str| {
        let value = document.pointer(pointer).filter(|value| !value.is_null());
        value.ok_or_else(|| anyhow!("the answer has no {pointer}"))
    };
    if let Some(pointer) = &step.has {
        found(pointer)?;
    }
    step.save
        .iter()
        .map(|(name, pointer)| {
            let value = found(pointer)?;
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            Ok((name.clone(), text))
        })
        .collect()
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    #[test]
    fn users_follow_the_stages() {
        let secs = Duration::from_secs;
        let stages = [(100, secs(10)), (100, secs(10)), (20, secs(10))];
        for (elapsed, expected) in [
            (0, Some(1)),
            (5, Some(50)),
            (10, Some(100)),
            (19, Some(100)),
            (25, Some(60)),
            (30, None),
        ] {
            assert_eq!(users_at(&stages, secs(elapsed)), expected, "{elapsed} s");
        }
        let at_once = [(7, Duration::ZERO), (7, secs(1))];
        assert_eq!(users_at(&at_once, Duration::ZERO), Some(7));
        assert_eq!(users_at(&[], Duration::ZERO), None);
    }

    #[test]
    fn answers_are_judged() {
        let step = Step {
            name: "a".to_owned(),
            method: "GET".to_owned(),
            path: "/a".to_owned(),
            json: None,
            form: None,
            bearer: None,
            is_idempotent: false,
            is_spend: false,
            status: 200,
            has: Some("/a/0".to_owned()),
            save: BTreeMap::from([("b".to_owned(), "/b".to_owned())]),
        };
        for (status, body, expected) in [
            (200, r#"{"a": [1], "b": "x"}"#, Ok("x")),
            (200, r#"{"a": [1], "b": 7}"#, Ok("7")),
            (
                201,
                r#"{"a": [1], "b": "x"}"#,
                Err("answered 201 and not 200"),
            ),
            (200, r#"{"a": [], "b": "x"}"#, Err("no /a/0")),
            (200, r#"{"a": [null], "b": "x"}"#, Err("no /a/0")),
            (200, r#"{"a": [1]}"#, Err("no /b")),
            (200, "<a>", Err("something else than JSON")),
        ] {
            let head = Head {
                status,
                is_cache_hit: false,
                is_cache_miss: false,
                head_bytes: 0,
                body_bytes: body.len(),
            };
            match (judge(&step, head, body.as_bytes()), expected) {
                (Ok(saved), Ok(expected)) => {
                    assert_eq!(saved, [("b".to_owned(), expected.to_owned())], "{body}");
                }
                (Err(error), Err(expected)) => {
                    assert!(format!("{error:#}").contains(expected), "{body}: {error:#}");
                }
                (got, expected) => panic!("{body} gave {got:?}, and not {expected:?}"),
            }
        }
    }
}
