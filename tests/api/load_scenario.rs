//! The scenario of load, as far as tests can go: every task goes well on a real host, the runner
//! counts what happened, and the programs generated for Locust and k6 are programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use turnpike_tests::environment::project_root;
use turnpike_tests::host::block_on;
use turnpike_tests::personas::unique;
use turnpike_tests::{Settings, TestHost, environment};

use crate::personas::accounts::Accounts;
use crate::personas::measure::{self, Course, Ran};
use crate::personas::scenario::Scenario;
use crate::personas::watch::Watched;

/// The release of Locust that the generated file is run with.
const LOCUST: &str = "locust==2.47.0";

/// The compiler and the types that the generated script is checked with.
const K6_TYPES: [&str; 2] = ["typescript@5.9.3", "@types/k6@2.3.0"];

/// How long a registry may take. Without the network nothing comes at all.
const INSTALL_PATIENCE: Duration = Duration::from_secs(150);

/// How long what was installed may take.
const RUN_PATIENCE: Duration = Duration::from_secs(150);

/// Latencies are not what is tested, on a machine that tests many things at once.
const PATIENCE: f64 = 1_000.0;

fn scenario() -> Scenario {
    Scenario::read(&project_root()).expect("the scenario can be used")
}

/// Who and what a run needs, for so many users.
async fn accounts(host: &TestHost, scenario: &Scenario, users: usize) -> Accounts {
    let address = host.address();
    let accounts = Accounts::create(scenario, users, host.db(), address).await;
    accounts.unwrap_or_else(|error| panic!("the accounts cannot be made: {error:#}"))
}

/// A course of a kind within a few seconds, on a host of its own.
async fn run(host: &TestHost, scenario: &Scenario, kind: &str, users: usize, secs: u64) -> Ran {
    let kind = scenario.kind(kind).expect("it is there");
    let mut course = Course::of(kind, Some(Duration::from_secs(secs)));
    course.scale_users(users);
    course.pause_ms = [1, 50];
    let accounts = accounts(host, scenario, users).await;
    let watched = Watched {
        host_pids: vec![std::process::id()],
        database: Some(host.db()),
    };
    let addresses = vec![host.address()];
    // Does each task once, and fails if one does not go well.
    measure::run(scenario.clone(), &course, accounts, addresses, &watched)
        .await
        .unwrap_or_else(|error| panic!("the load cannot be run: {error:#}"))
}

/// The accounts were written by SQL, of which the audit log knows nothing; the books are sound.
async fn finish(host: TestHost) {
    host.assert_ledger_is_sound().await;
    host.assert_usage_is_sound().await;
    host.remove().await;
}

#[test]
fn every_task_goes_well_and_the_ledger_holds_what_was_acknowledged() {
    block_on(async {
        let scenario = scenario();
        let host = TestHost::start(Settings::pooled()).await;
        let ran = run(&host, &scenario, "smoke", 10, 3).await;
        let ledger = ran.ledger.expect("there is a connection");
        assert!(ledger.is_right(), "{ledger:?}");
        assert_eq!(ran.outcome.first_errors, Vec::<String>::new());
        let answers: u64 = ran
            .outcome
            .steps
            .iter()
            .map(|step| step.latencies.len())
            .sum();
        assert!(answers > 0, "somebody is answered within three seconds");
        // A second in which the database took too long to tell is left out.
        let told: Vec<_> = ran
            .seconds
            .iter()
            .filter_map(|second| second.sessions)
            .collect();
        assert!(
            told.is_empty() || told.iter().any(|sessions| *sessions > 0),
            "the host has sessions of Postgres: {told:?}",
        );
        let mut counted = measure::report(
            &scenario,
            &Course::of(scenario.kind("smoke").expect("it is there"), None),
            ran,
            crate::load::machine::Machine::describe(&project_root(), measure::clock_date())
                .await
                .expect("it has cores"),
            ("test".to_owned(), "wasm".to_owned()),
            PATIENCE,
        )
        .expect("it can be told");
        assert!(counted.is_passed(), "{:?}", counted.thresholds);
        // A spend that the run does not know of.
        let ledger = counted.ledger.as_mut().expect("it was counted");
        ledger.found += ledger.unknown + 1;
        assert!(!counted.is_passed(), "{:?}", counted.ledger);
        finish(host).await;
    });
}

#[test]
fn failures_are_counted_and_stop_the_task() {
    block_on(async {
        let mut scenario = scenario();
        // Nobody has this role, so that what the persona does is refused.
        let host = TestHost::start(Settings::pooled()).await;
        let made = accounts(&host, &scenario, 3).await;
        host.execute("UPDATE users SET platform_role = NULL").await;
        let course = Course::of(scenario.kind("smoke").expect("it is there"), None);
        let watched = Watched::default();
        let addresses = vec![host.address()];
        scenario.tasks.retain(|task| task.persona == "system_admin");
        scenario
            .personas
            .retain(|persona| persona.name == "system_admin");
        let failed = measure::run(scenario, &course, made, addresses, &watched).await;
        let error = failed.err().map(|error| format!("{error:#}"));
        let error = error.unwrap_or_default();
        assert!(
            error.contains("platform figures: answered 403 and not 200"),
            "the rehearsal must say what is refused: {error}"
        );
        finish(host).await;
    });
}

/// Where packages of a registry are kept between the runs of tests.
fn tools() -> PathBuf {
    let folder = project_root().join(".turnpike").join("load-tools");
    fs::create_dir_all(&folder).expect("the project's folder is writable");
    folder
}

/// Whether a program ended well within its time, and what it said.
async fn ended_well(command: &mut Command, patience: Duration) -> (bool, String) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match command.spawn() {
        Ok(child) => tokio::time::timeout(patience, child.wait_with_output()).await,
        Err(error) => return (false, error.to_string()),
    };
    match output {
        Ok(Ok(output)) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            (output.status.success(), said)
        }
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (false, format!("it did not end within {patience:?}")),
    }
}

/// Says that something was not tested, and why: the registry or the program is not there, which
/// is no fault of the project.
fn say_not_tested(what: &str, reason: &str) {
    let last = reason.lines().last().unwrap_or_default();
    println!("load scenario: NOT TESTED: {what}: {last}");
}

/// Installs Locust unless it is there; the program, if it could be.
async fn locust() -> Option<PathBuf> {
    let folder = tools().join(LOCUST);
    let program = folder.join("bin").join("locust");
    let is_there = ended_well(Command::new(&program).arg("--version"), RUN_PATIENCE).await;
    if is_there.0 {
        return Some(program);
    }
    let mut venv = Command::new("python3");
    let (is_made, said) = ended_well(
        venv.args(["-m", "venv", "--clear"]).arg(&folder),
        INSTALL_PATIENCE,
    )
    .await;
    if !is_made {
        say_not_tested("Locust, because Python cannot make an environment", &said);
        return None;
    }
    let mut pip = Command::new(folder.join("bin").join("pip"));
    let pip = pip.args([
        "install",
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        "15",
        LOCUST,
    ]);
    let (is_installed, said) = ended_well(pip, INSTALL_PATIENCE).await;
    if !is_installed {
        say_not_tested("Locust, because pip cannot install it", &said);
        return None;
    }
    Some(program)
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("turnpike-{name}-{}-{}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("the temporary directory is writable");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn locust_runs_the_generated_file() {
    environment();
    block_on(async {
        let Some(program) = locust().await else {
            return;
        };
        let scenario = scenario();
        let host = TestHost::start(Settings::pooled()).await;
        let accounts = accounts(&host, &scenario, 10).await;
        let folder = Folder::new("locust");
        let file = folder.0.join("accounts.json");
        let text = serde_json::to_string(&accounts).expect("accounts are JSON");
        fs::write(&file, text).expect("the folder is writable");
        let url = format!("http://{}", host.address());
        let run = async |role_is_taken: bool| {
            if role_is_taken {
                host.execute("UPDATE users SET platform_role = NULL").await;
            }
            let mut command = Command::new(&program);
            command
                .args([
                    "--headless",
                    "--only-summary",
                    "--json",
                    "--host",
                    &url,
                    "-f",
                ])
                .arg(project_root().join("tests/load/generated/locustfile.py"))
                .env("TURNPIKE_ACCOUNTS", &file)
                .env("TURNPIKE_LOAD_KIND", "smoke")
                .env("TURNPIKE_LOAD_SECONDS", "5")
                .env("TURNPIKE_LOAD_PATIENCE", PATIENCE.to_string());
            ended_well(&mut command, RUN_PATIENCE).await
        };
        let (is_well, said) = run(false).await;
        assert!(is_well, "Locust must end well:\n{said}");
        assert!(
            said.contains("% of the look-ups hit") && !said.contains("threshold not met"),
            "Locust must judge what it did:\n{said}"
        );
        let steps: Vec<&str> = scenario.steps().map(|step| step.name.as_str()).collect();
        let answered = steps
            .iter()
            .filter(|step| said.contains(&format!("\"name\": \"{step}\"")));
        let answered = answered.count();
        assert!(
            answered > 3,
            "some steps of each persona are in the report:\n{said}"
        );
        let (is_well, said) = run(true).await;
        assert!(
            !is_well && said.contains("threshold not met") && said.contains("answered 403"),
            "refusals must end Locust with a failure:\n{said}"
        );
        finish(host).await;
    });
}

#[test]
fn k6_types_fit_the_generated_script() {
    block_on(async {
        let folder = tools().join("k6-types");
        fs::create_dir_all(&folder).expect("the project's folder is writable");
        let compiler = folder.join("node_modules/.bin/tsc");
        let (is_there, said) =
            ended_well(Command::new("node").arg("--version"), RUN_PATIENCE).await;
        if !is_there {
            return say_not_tested("k6, because Node does not run", &said);
        }
        let wanted = K6_TYPES.join(" ");
        let installed = fs::read_to_string(folder.join("installed")).unwrap_or_default();
        if installed != wanted {
            let mut npm = Command::new("npm");
            npm.args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&folder)
            .args(["--fetch-retries", "1", "--fetch-timeout", "15000"])
            .args(K6_TYPES);
            let (is_installed, said) = ended_well(&mut npm, INSTALL_PATIENCE).await;
            if !is_installed {
                return say_not_tested("k6, because npm cannot install its types", &said);
            }
            fs::write(folder.join("installed"), wanted).expect("it is writable");
        }
        // An old Node does not run it.
        let (runs, said) = ended_well(Command::new(&compiler).arg("--version"), RUN_PATIENCE).await;
        if !runs {
            return say_not_tested("k6, because this Node does not run the compiler", &said);
        }
        let script = project_root().join("tests/load/generated/k6.js");
        let script = fs::read_to_string(script).expect("the script is there");
        let wrong = script.replace("sleep((shortest", "sleep('a' + (shortest");
        assert_ne!(wrong, script, "the script sleeps");
        for (name, text, is_right) in [("k6.js", script, true), ("wrong.js", wrong, false)] {
            let path = folder.join(name);
            fs::write(&path, text).expect("the folder is writable");
            let (is_well, said) = check_types(&compiler, &path).await;
            assert_eq!(is_well, is_right, "{name}: {said}");
        }
    });
}

async fn check_types(compiler: &Path, script: &Path) -> (bool, String) {
    let folder = script.parent().unwrap_or(script);
    let mut command = Command::new(compiler);
    command
        .args([
            "--noEmit",
            "--allowJs",
            "--checkJs",
            "--strict",
            "--skipLibCheck",
        ])
        .args([
            "--target",
            "es2022",
            "--module",
            "es2022",
            "--moduleResolution",
            "bundler",
        ])
        .args(["--types", "k6"])
        .arg(script)
        .current_dir(folder);
    ended_well(&mut command, RUN_PATIENCE).await
}

/// A step's path, and what of it the description can have.
fn described<'a>(description: &'a Value, path: &str, method: &str) -> Option<&'a Value> {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let paths = description["paths"].as_object()?;
    let matching = paths.iter().find(|(template, _)| {
        let template: Vec<&str> = template.split('/').collect();
        let pairs = template.iter().zip(&segments);
        template.len() == segments.len()
            && pairs.into_iter().all(|(one, other)| {
                one == other || (one.starts_with('{') && other.starts_with("{{"))
            })
    });
    matching?.1.get(method.to_ascii_lowercase())
}

#[test]
fn every_step_is_an_operation_of_the_api() {
    let path = project_root().join("functions/openapi/openapi.json");
    let text = fs::read_to_string(path).expect("the description is there");
    let description: Value = serde_json::from_str(&text).expect("it is JSON");
    for step in scenario().steps() {
        let operation = described(&description, &step.path, &step.method);
        let operation = operation.unwrap_or_else(|| {
            panic!(
                "{:?}: the API has no {} {}",
                step.name, step.method, step.path
            )
        });
        assert!(
            !operation["responses"][step.status.to_string()].is_null(),
            "{:?}: the operation is never answered {}",
            step.name,
            step.status
        );
    }
}
