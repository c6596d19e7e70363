//! The scenario for other load generators: a file for Locust and a script for k6, each a template
//! of `tests/load/templates` with the scenario in its places.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::scenario::Scenario;

const LOCUST: &str = include_str!("../../load/templates/locustfile.py");
const K6: &str = include_str!("../../load/templates/k6.js");

/// What both files say about themselves.
const GENERATED: &str =
    "Generated: `TURNPIKE_WRITE=1 cargo test -p turnpike-tests --test bench_parts generated`.";

/// Writes one of the programs.
pub type Writer = fn(&Scenario) -> Result<String>;

/// Each generated file below the project's root, and what writes it.
pub const FILES: [(&str, Writer); 2] = [
    ("tests/load/generated/locustfile.py", locust),
    ("tests/load/generated/k6.js", k6),
];

/// The file for Locust.
///
/// # Errors
/// None that can happen: a scenario is JSON.
pub fn locust(scenario: &Scenario) -> Result<String> {
    let mut classes = Vec::new();
    for persona in &scenario.personas {
        let mut class = format!(
            "class {}(TurnpikeUser):\n    persona = \"{}\"\n    weight = {}",
            camel_case(&persona.name),
            persona.name,
            persona.share_percent
        );
        for task in scenario.tasks_of(&persona.name) {
            write!(
                class,
                "\n\n    @task({})\n    def {name}(self):\n        self.run_task(\"{name}\")",
                task.weight,
                name = task.name
            )?;
        }
        classes.push(class);
    }
    let tasks: BTreeMap<&str, _> = scenario
        .tasks
        .iter()
        .map(|task| (&*task.name, task))
        .collect();
    Ok(LOCUST
        .replace("@@GENERATED@@", GENERATED)
        .replace("@@KINDS@@", &json(&kinds(scenario))?)
        .replace("@@TASKS@@", &json(&tasks)?)
        .replace("@@THRESHOLDS@@", &json(&scenario.thresholds)?)
        .replace("@@CLASSES@@", &classes.join("\n\n\n")))
}

/// The script for k6.
///
/// # Errors
/// None that can happen: a scenario is JSON.
pub fn k6(scenario: &Scenario) -> Result<String> {
    let personas = scenario.personas.iter();
    let shares: BTreeMap<&str, u32> = personas
        .clone()
        .map(|persona| (&*persona.name, persona.share_percent))
        .collect();
    let functions: Vec<String> = personas
        .map(|persona| {
            let name = &persona.name;
            format!("export function {name}() {{\n  act('{name}');\n}}")
        })
        .collect();
    Ok(K6
        .replace("@@GENERATED@@", GENERATED)
        .replace("@@PERSONAS@@", &json(&shares)?)
        .replace("@@KINDS@@", &json(&kinds(scenario))?)
        .replace("@@TASKS@@", &json(&scenario.tasks)?)
        .replace("@@THRESHOLDS@@", &json(&scenario.thresholds)?)
        .replace("@@FUNCTIONS@@", &functions.join("\n\n")))
}

fn kinds(scenario: &Scenario) -> BTreeMap<&str, impl Serialize> {
    let kinds = scenario.kinds.iter();
    kinds.map(|kind| (&*kind.name, kind)).collect()
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}

fn camel_case(name: &str) -> String {
    let words = name.split('_');
    words
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
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
    use std::path::Path;

    use super::super::scenario::tests::SMALL;
    use super::*;

    #[test]
    fn programs_have_every_persona_task_and_bound() {
        let scenario = Scenario::parse(SMALL).expect("it is right");
        let locust = locust(&scenario).expect("it can be written");
        for part in [
            "class Reader(TurnpikeUser):\n    persona = \"reader\"\n    weight = 70\n",
            "    @task(1000)\n    def note(self):\n        self.run_task(\"note\")\n",
            "\"max_errors_percent\": 1.0",
            "\"/note/{{organization_id}}\"",
        ] {
            assert!(locust.contains(part), "{part:?} is missing from\n{locust}");
        }
        let k6 = k6(&scenario).expect("it can be written");
        for part in [
            "export function writer() {\n  act('writer');\n}",
            "\"writer\": 30",
            "\"name\": \"log in\",\n      \"p95_ms\": 300",
            "\"min_cache_hits_percent\": 50.0",
        ] {
            assert!(k6.contains(part), "{part:?} is missing from\n{k6}");
        }
        for text in [locust, k6] {
            assert!(!text.contains("@@"), "a place was left open in\n{text}");
        }
    }

    /// Whether the files are those of the scenario; `TURNPIKE_WRITE=1` writes them.
    #[test]
    fn generated_files_are_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let scenario = Scenario::read(&root).expect("the scenario can be used");
        for (file, write) in FILES {
            let text = write(&scenario).expect("it can be written");
            let path = root.join(file);
            if std::env::var_os("TURNPIKE_WRITE").is_some() {
                std::fs::write(&path, &text).expect("the file can be written");
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "{file} is not what {} says. {GENERATED}",
                super::super::scenario::FILE
            );
        }
    }
}
