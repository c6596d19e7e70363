//! The scenario: who does what with Turnpike, how much of it at once, and how well it must go.
//! It is read from `tests/load/scenario.toml`, which explains itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::placeholders;

/// Where it is, below the project's root.
pub const FILE: &str = "tests/load/scenario.toml";

/// What the weights of a persona's tasks add up to.
const WEIGHTS: u32 = 1_000;

/// The values that every account has.
pub const ACCOUNT_VALUES: [&str; 5] = ["token", "email", "password", "user_id", "organization_id"];

/// The values that every run of a task has besides.
pub const RUN_VALUES: [&str; 3] = ["unique", "month_since", "until"];

/// All of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Accounts at most: further users share them.
    pub max_accounts: usize,
    /// Who.
    #[serde(rename = "persona")]
    pub personas: Vec<Persona>,
    /// What.
    #[serde(rename = "task")]
    pub tasks: Vec<Task>,
    /// How much.
    #[serde(rename = "kind")]
    pub kinds: Vec<Kind>,
    /// How well.
    pub thresholds: Thresholds,
}

/// A kind of user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// Its name, in snake_case.
    pub name: String,
    /// How many of all users it is, in percent.
    pub share_percent: u32,
    /// What its accounts can do.
    pub role: Role,
}

/// What an account can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has credits, a meter and an organization of their own.
    User,
    /// Has a subscription and a pool besides.
    Owner,
    /// May administer the platform.
    Platform,
}

/// What a persona does, in one step or more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name, in snake_case: the generated programs call their functions so.
    pub name: String,
    /// Who does it.
    pub persona: String,
    /// How often, of a thousand tasks of the persona.
    pub weight: u32,
    /// Whether the native baseline can do it too.
    #[serde(default)]
    pub is_native: bool,
    /// In their order.
    #[serde(rename(deserialize = "step"))]
    pub steps: Vec<Step>,
}

/// One request, and what must come of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What reports call it; no other step has the same name.
    pub name: String,
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// The path and query, with placeholders.
    pub path: String,
    /// A body of JSON, with placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// A body as forms send it, with placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// The value that signs the request in; the account's token if absent, nobody if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<String>,
    /// Whether it is sent with an Idempotency-Key of its own.
    #[serde(default)]
    pub is_idempotent: bool,
    /// Whether the ledger holds a spend afterwards.
    #[serde(default)]
    pub is_spend: bool,
    /// The only status that is no error.
    pub status: u16,
    /// A place in the answer's JSON where something must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has: Option<String>,
    /// Values for later steps, by the names that these use: places in the answer's JSON.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
}

/// A course of load.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// As in `turnpike load <name>`.
    pub name: String,
    /// The bounds of a user's pause between two tasks, in milliseconds.
    pub pause_ms: [u64; 2],
    /// The share of answers from the cache that must be reached, of those that looked there.
    pub min_cache_hits_percent: Option<f64>,
    /// By how much the hosts' memory may grow from the second to the last quarter of the time.
    pub max_memory_growth_percent: Option<f64>,
    /// One after another.
    pub stages: Vec<Stage>,
}

/// A part of a course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Users at its end.
    pub users: usize,
    /// How long it takes.
    pub secs: u64,
}

/// What must hold of the answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Requests that may fail, of all.
    pub max_errors_percent: f64,
    /// The median, in milliseconds.
    pub p50_ms: u64,
    /// What 95 of 100 must not exceed.
    pub p95_ms: u64,
    /// What 99 of 100 must not exceed.
    pub p99_ms: u64,
    /// Of single steps.
    #[serde(rename(deserialize = "step"), default)]
    pub steps: Vec<StepThreshold>,
}

/// What must hold of one step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepThreshold {
    /// The step's name.
    pub name: String,
    /// What 95 of 100 must not exceed.
    pub p95_ms: u64,
}

impl Scenario {
    /// Reads the project's scenario.
    ///
    /// # Errors
    /// The file cannot be read, or contradicts itself.
    pub fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE))
            .with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text).with_context(|| format!("{FILE} cannot be used"))
    }

    /// Reads a scenario.
    ///
    /// # Errors
    /// It is no TOML of this form, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn kind(&self, name: &str) -> Result<&Kind> {
        let names = || {
            let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name.as_str()).collect();
            names.join(", ")
        };
        self.kinds
            .iter()
            .find(|kind| kind.name == name)
            .with_context(|| format!("there is no load {name:?}: choose of {}", names()))
    }

    /// A persona's tasks.
    pub fn tasks_of<'a>(&'a self, persona: &'a str) -> impl Iterator<Item = &'a Task> {
        self.tasks
            .iter()
            .filter(move |task| task.persona == persona)
    }

    /// Every step, in the file's order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.tasks.iter().flat_map(|task| &task.steps)
    }

    /// The scenario with those tasks only that the native baseline can do too, and without the
    /// personas that have none left.
    #[must_use]
    pub fn of_native_tasks(mut self) -> Self {
        self.tasks.retain(|task| task.is_native);
        let tasks = &self.tasks;
        self.personas
            .retain(|persona| tasks.iter().any(|task| task.persona == persona.name));
        let steps: BTreeSet<&str> = self.steps().map(|step| step.name.as_str()).collect();
        let mut thresholds = self.thresholds.steps.clone();
        thresholds.retain(|threshold| steps.contains(threshold.name.as_str()));
        self.thresholds.steps = thresholds;
        self
    }

    /// The persona of each of so many users: at any number of them, each persona has its share of
    /// those before, to the user.
    pub fn cast(&self, users: usize) -> Vec<usize> {
        let whole: u32 = self.personas.iter().map(|one| one.share_percent).sum();
        let mut given = vec![0_u64; self.personas.len()];
        let mut cast = Vec::with_capacity(users);
        for number in 1..=users as u64 {
            let behind = |index: &usize| {
                let due = u64::from(self.personas[*index].share_percent) * number;
                i64::try_from(due).unwrap_or(i64::MAX)
                    - i64::try_from(u64::from(whole) * given[*index]).unwrap_or(i64::MAX)
            };
            // The first of those that are furthest behind.
            let next = (0..self.personas.len()).rev().max_by_key(behind);
            let next = next.unwrap_or_default();
            given[next] += 1;
            cast.push(next);
        }
        cast
    }

    fn check(&self) -> Result<()> {
        ensure!(self.max_accounts > 0, "max_accounts must not be zero");
        let shares: u32 = self.personas.iter().map(|one| one.share_percent).sum();
        ensure!(shares == 100, "the personas' shares add up to {shares}");
        let mut names = BTreeSet::new();
        for persona in &self.personas {
            check_name(&persona.name)?;
            ensure!(names.insert(&persona.name), "two personas {}", persona.name);
            let weights: u32 = self.tasks_of(&persona.name).map(|task| task.weight).sum();
            ensure!(
                weights == WEIGHTS,
                "the weights of {} add up to {weights} and not to {WEIGHTS}",
                persona.name
            );
        }
        let mut tasks = BTreeSet::new();
        let mut steps = BTreeSet::new();
        for task in &self.tasks {
            check_name(&task.name)?;
            ensure!(tasks.insert(&task.name), "two tasks {}", task.name);
            ensure!(
                names.contains(&task.persona),
                "{} is of nobody: {}",
                task.name,
                task.persona
            );
            ensure!(!task.steps.is_empty(), "{} has no step", task.name);
            task.check()?;
            for step in &task.steps {
                ensure!(steps.insert(&step.name), "two steps {:?}", step.name);
            }
        }
        for threshold in &self.thresholds.steps {
            ensure!(
                steps.contains(&threshold.name),
                "a threshold of no step: {:?}",
                threshold.name
            );
        }
        ensure!(!self.kinds.is_empty(), "there is no kind of load");
        for kind in &self.kinds {
            check_name(&kind.name)?;
            let [shortest, longest] = kind.pause_ms;
            ensure!(shortest <= longest, "{}: pauses end first", kind.name);
            let secs: u64 = kind.stages.iter().map(|stage| stage.secs).sum();
            let users = kind.stages.iter().map(|stage| stage.users).max();
            ensure!(
                secs > 0 && users > Some(0),
                "{} takes no time, or has no users",
                kind.name
            );
        }
        Ok(())
    }
}

impl Task {
    /// Each placeholder must be the account's, the run's, or saved by an earlier step.
    fn check(&self) -> Result<()> {
        let mut known: BTreeSet<&str> = ACCOUNT_VALUES.into_iter().chain(RUN_VALUES).collect();
        for step in &self.steps {
            let place = || format!("{}, step {:?}", self.name, step.name);
            ensure!(
                ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&step.method.as_str()),
                "{}: no method: {}",
                place(),
                step.method
            );
            ensure!(
                step.json.is_none() || step.form.is_none(),
                "{}: two bodies",
                place()
            );
            let bearer = step.bearer().into_iter();
            let used = step.texts().flat_map(placeholders::names_in).chain(bearer);
            for name in used {
                if !known.contains(name) {
                    bail!("{}: nothing gives {{{{{name}}}}}", place());
                }
            }
            for (name, pointer) in &step.save {
                check_name(name)?;
                ensure!(pointer.starts_with('/'), "{}: no place: {pointer}", place());
                known.insert(name);
            }
        }
        Ok(())
    }
}

impl Step {
    /// Whose value signs the request in, if anybody's.
    pub fn bearer(&self) -> Option<&str> {
        let name = self.bearer.as_deref().unwrap_or("token");
        (!name.is_empty()).then_some(name)
    }

    /// The body and its media type.
    pub fn body(&self) -> Option<(&'static str, &str)> {
        let json = self.json.as_deref();
        let json = json.map(|text| ("application/json", text));
        let form = self.form.as_deref();
        json.or(form.map(|text| ("application/x-www-form-urlencoded", text)))
    }

    /// What may have placeholders.
    fn texts(&self) -> impl Iterator<Item = &str> {
        [
            Some(self.path.as_str()),
            self.json.as_deref(),
            self.form.as_deref(),
        ]
        .into_iter()
        .flatten()
    }
}

impl Kind {
    /// The stages as they are, or with the whole course in so many seconds.
    pub fn stages_within(&self, whole: Option<Duration>) -> Vec<(usize, Duration)> {
        let secs: u64 = self.stages.iter().map(|stage| stage.secs).sum();
        let factor = whole.map_or(1.0, |whole| whole.as_secs_f64() / secs.max(1) as f64);
        let scaled = |secs: u64| Duration::from_secs_f64(secs as f64 * factor);
        let stages = self.stages.iter();
        stages
            .map(|stage| (stage.users, scaled(stage.secs)))
            .collect()
    }
}

/// A name becomes one of a function in the generated programs.
fn check_name(name: &str) -> Result<()> {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    ensure!(is_plain, "{name:?} is no name in snake_case");
    Ok(())
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
pub mod tests {
    use super::*;

    /// A small scenario that is right.
    pub const SMALL: &str = r#"
max_accounts = 10

[[persona]]
name = "reader"
share_percent = 70
role = "user"

[[persona]]
name = "writer"
share_percent = 30
role = "owner"

[[task]]
name = "look"
persona = "reader"
weight = 1000
[[task.step]]
name = "look"
method = "GET"
path = "/look?since={{month_since}}"
status = 200
has = "/seen"

[[task]]
name = "note"
persona = "writer"
weight = 1000
[[task.step]]
name = "log in"
method = "POST"
path = "/login"
bearer = ""
json = '{"email": "{{email}}"}'
status = 200
save = { new_token = "/access_token" }
[[task.step]]
name = "note"
method = "POST"
path = "/note/{{organization_id}}"
bearer = "new_token"
form = "text={{unique}}"
is_idempotent = true
is_spend = true
status = 201

[[kind]]
name = "smoke"
pause_ms = [10, 20]
min_cache_hits_percent = 50.0
stages = [{ users = 4, secs = 1 }, { users = 4, secs = 9 }]

[thresholds]
max_errors_percent = 1.0
p50_ms = 50
p95_ms = 100
p99_ms = 500

[[thresholds.step]]
name = "log in"
p95_ms = 300
"#;

    #[test]
    fn contradictions_are_refused() {
        Scenario::parse(SMALL).expect("it is right");
        for (from, to, expected) in [
            ("share_percent = 30", "share_percent = 29", "add up to 99"),
            ("weight = 1000", "weight = 999", "add up to 999"),
            ("name = \"writer\"", "name = \"reader\"", "two personas"),
            (
                "name = \"note\"\npersona",
                "name = \"look\"\npersona",
                "two tasks",
            ),
            (
                "persona = \"writer\"",
                "persona = \"nobody\"",
                "add up to 0",
            ),
            (
                "name = \"note\"\nmethod",
                "name = \"look\"\nmethod",
                "two steps",
            ),
            (
                "{{organization_id}}",
                "{{invoice}}",
                "nothing gives {{invoice}}",
            ),
            (
                "bearer = \"new_token\"",
                "bearer = \"old\"",
                "nothing gives {{old}}",
            ),
            ("method = \"GET\"", "method = \"LOOK\"", "no method"),
            (
                "form = \"text",
                "json = \"{}\"\nform = \"text",
                "two bodies",
            ),
            ("\"/access_token\"", "\"access_token\"", "no place"),
            ("name = \"smoke\"", "name = \"Smoke 1\"", "snake_case"),
            ("pause_ms = [10, 20]", "pause_ms = [20, 10]", "pauses"),
            ("users = 4", "users = 0", "no users"),
            (
                "name = \"log in\"\np95",
                "name = \"log out\"\np95",
                "of no step",
            ),
            ("max_accounts = 10", "max_accounts = 0", "max_accounts"),
            ("max_accounts = 10", "accounts = 10", "accounts"),
        ] {
            assert!(SMALL.contains(from), "{from:?} is not in the scenario");
            let error = Scenario::parse(&SMALL.replace(from, to)).expect_err(to);
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{to:?} gave {error}");
        }
    }

    #[test]
    fn personas_have_their_shares_at_any_number() {
        let scenario = Scenario::parse(SMALL).expect("it is right");
        for users in [1, 2, 3, 10, 100, 997] {
            let cast = scenario.cast(users);
            assert_eq!(cast.len(), users);
            let readers = cast.iter().filter(|persona| **persona == 0).count();
            let due = users as f64 * 0.7;
            assert!(
                (readers as f64 - due).abs() <= 1.0,
                "{readers} of {users} are readers, and {due} are due"
            );
        }
        let mut shorter = scenario.cast(50);
        shorter.truncate(20);
        assert_eq!(
            shorter,
            scenario.cast(20),
            "who comes first stays who they are"
        );
    }

    #[test]
    fn native_tasks_are_what_is_left() {
        let text = SMALL.replacen("weight = 1000", "weight = 1000\nis_native = true", 1);
        let scenario = Scenario::parse(&text)
            .expect("it is right")
            .of_native_tasks();
        let tasks: Vec<&str> = scenario.tasks.iter().map(|task| &*task.name).collect();
        assert_eq!(tasks, ["look"]);
        assert_eq!(scenario.personas.len(), 1);
        assert!(scenario.thresholds.steps.is_empty(), "none of these steps");
        assert_eq!(scenario.cast(3), [0, 0, 0]);
    }

    #[test]
    fn courses_are_scaled() {
        let scenario = Scenario::parse(SMALL).expect("it is right");
        let kind = scenario.kind("smoke").expect("it is there");
        for (whole, expected) in [(None, [1_000, 9_000]), (Some(5), [500, 4_500])] {
            let stages = kind.stages_within(whole.map(Duration::from_secs));
            let millis: Vec<u128> = stages.iter().map(|(_, time)| time.as_millis()).collect();
            assert_eq!(millis, expected);
        }
        let error = scenario.kind("hail").expect_err("there is none");
        assert!(error.to_string().contains("choose of smoke"), "{error}");
    }
}
