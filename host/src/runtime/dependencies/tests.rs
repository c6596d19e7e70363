use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::Semaphore;
use wasmtime::{Config, Engine, Store};

use super::sandbox::DEPENDENCY_CALL_TIME_LIMIT;
use super::*;
use crate::imports::instance::{ComponentContext, Place, Services, linker};
use crate::imports::key_value::store::{KeyValueOptions, KeyValueStore};
use crate::imports::postgres::{PostgresOptions, PostgresPools};
use crate::log_sink::LogSink;
use crate::manifest::allowed_hosts::AllowedHosts;
use crate::metrics::Metrics;
use crate::postgres_cluster::ScratchDirectory;
use crate::runtime::lifecycle::Lifecycle;
use crate::traces::Traces;

/// Calls the imported `run` with its own argument.
const CALLER: &str = r#"(component
    (import "t:t/model@0.1.0" (instance $model
        (export "run" (func (param "n" u32) (result u32)))))
    (core func $run (canon lower (func $model "run")))
    (core module $m
        (import "model" "run" (func $run (param i32) (result i32)))
        (func (export "call") (param i32) (result i32) (call $run (local.get 0))))
    (core instance $i (instantiate $m (with "model" (instance (export "run" (func $run))))))
    (func (export "call") (param "n" u32) (result u32) (canon lift (core func $i "call"))))"#;

/// Exports a `run` with this body, and one page of memory.
fn model(body: &str) -> String {
    exporting(&format!(
        r#"(core module $m
            (memory 1)
            (global $calls (mut i32) (i32.const 0))
            (func $run (export "run") (param i32) (result i32) {body}))
        (core instance $i (instantiate $m))
        (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#
    ))
}

/// A component that has `$run`, and exports it as the caller wants it.
fn exporting(definitions: &str) -> String {
    format!(
        r#"(component {definitions}
            (instance $model (export "run" (func $run)))
            (export "t:t/model@0.1.0" (instance $model)))"#
    )
}

/// Sound, but with so many core instances besides that have these definitions.
fn made_of(count: usize, definitions: &str) -> String {
    let parts = "(core instance (instantiate $part))".repeat(count);
    exporting(&format!(
        r#"(core module $part {definitions})
        {parts}
        (core module $m (func (export "run") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m))
        (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#
    ))
}

/// A caller linked to a dependency, and how to call it.
struct Linked {
    engine: Engine,
    instance: InstancePre<InstanceState>,
    context: Arc<ComponentContext>,
}

impl Linked {
    /// Links `caller` to `dependency` under the entries' names, each with its export.
    fn new(
        caller: &str,
        dependency: &str,
        entries: &[(&str, Option<&str>)],
        log: LogSink,
    ) -> Result<Self> {
        let directory = ScratchDirectory::new();
        let path = directory.path().join("dependency.wasm");
        std::fs::write(&path, wat::parse_str(dependency)?)?;
        let found = entries.iter().map(|(name, export)| {
            let export = export.map_or(String::new(), |export| format!(", export = {export:?}"));
            let manifest = Manifest::parse(
                &format!(
                    "spin_manifest_version = 2\n[application]\nname = \"t\"\n\
                     [component.caller]\nsource = \"caller.wasm\"\n\
                     dependencies = {{ {name:?} = {{ component = \"model\"{export} }} }}\n\
                     [component.model]\nsource = {path:?}\n"
                ),
                directory.path(),
            )?;
            Dependencies::find(&manifest, &manifest.components["caller"].dependencies)
        });
        let found: Vec<Found> = found
            .map(|found| found.map(|dependencies| dependencies.0))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect();
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, wat::parse_str(caller)?)?;
        let mut linker = linker(&engine)?;
        let sandbox = Sandbox::new(&directory.path().join("cache"))?;
        Dependencies(found).link(&sandbox, &component, &mut linker)?;
        let instance = linker.instantiate_pre(&component)?;
        let services = Services {
            key_value: KeyValueStore::open(&KeyValueOptions::default())?,
            postgres: PostgresPools::new(PostgresOptions::default()),
            log,
            metrics: Arc::new(Metrics::new()),
            traces: Traces::default(),
            chained: OnceLock::new(),
        };
        Ok(Self {
            engine,
            instance,
            context: Arc::new(ComponentContext {
                id: "caller".into(),
                allowed_hosts: AllowedHosts::default(),
                key_value_stores: Vec::new(),
                variables: HashMap::new(),
                environment: BTreeMap::new(),
                files: Vec::new(),
                services: Arc::new(services),
            }),
        })
    }

    /// Calls the dependency with each number, from one instance of the caller.
    async fn call(&self, numbers: &[u32]) -> wasmtime::Result<Vec<u32>> {
        let place = Place {
            _slot: Arc::new(Semaphore::new(1)).acquire_owned().await?,
            _chaining: None,
        };
        let guard = Arc::new(Lifecycle::default()).enter();
        let state = InstanceState::new(&self.context, place, guard)?;
        let mut store = Store::new(&self.engine, state);
        let instance = self.instance.instantiate_async(&mut store).await?;
        let call = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "call")?;
        let mut returned = Vec::new();
        for number in numbers {
            let (value,) = call.call_async(&mut store, (*number,)).await?;
            returned.push(value);
        }
        Ok(returned)
    }
}

/// The dependency under the import's own name.
const BY_NAME: &[(&str, Option<&str>)] = &[("t:t/model@0.1.0", None)];

#[tokio::test(flavor = "multi_thread")]
async fn every_call_has_an_instance_of_its_own() -> Result<()> {
    let counting = model(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         (i32.add (local.get 0) (global.get $calls))",
    );
    for entries in [
        BY_NAME,
        &[("t:t/model", None)],
        &[("t:t", None)],
        &[("t:t@0.1.0", None)],
        &[("t:t/model", Some("t:t/model@0.1.0"))],
    ] {
        let linked = Linked::new(CALLER, &counting, entries, LogSink::default())?;
        assert_eq!(linked.call(&[1, 1, 7]).await?, [2, 2, 8], "{entries:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dependency_does_wrong_ends_its_caller_with_the_reason() -> Result<()> {
    for (dependency, reason) in [
        (model("(unreachable)"), "`unreachable` instruction executed"),
        (
            model("(loop $again (br $again)) (unreachable)"),
            "it took longer than 1 s",
        ),
        (
            model("(call $run (local.get 0)) (drop) (call $run (local.get 0))"),
            "call stack exhausted",
        ),
        // 64 MiB are 1,024 pages, of which it has one.
        (
            model("(drop (memory.grow (i32.const 1024))) (i32.const 0)"),
            "it wanted more than 64 MiB of memory",
        ),
        (
            model("(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (unreachable)"),
            "it wanted more than 64 MiB of memory",
        ),
        (
            exporting(
                r#"(core module $m
                    (memory 1025)
                    (func (export "run") (param i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#,
            ),
            "it wanted more than 64 MiB of memory",
        ),
        (
            exporting(
                r#"(core module $m
                    (table 100001 funcref)
                    (func (export "run") (param i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#,
            ),
            "it wanted more than 100000 elements of tables",
        ),
        (made_of(33, "(memory 0)"), "memory count too high at 33"),
        (
            made_of(65, "(table 0 funcref)"),
            "table count too high at 65",
        ),
        (made_of(200, ""), "instance count too high at 201"),
        // Its own initialization counts as well.
        (
            exporting(
                r#"(core module $m
                    (func $start (loop $again (br $again)))
                    (start $start)
                    (func (export "run") (param i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#,
            ),
            "it took longer than 1 s",
        ),
        (
            exporting(
                r#"(import "spin:variables/variables@3.0.0" (instance $secrets
                    (export "count" (func (param "n" u32) (result u32)))))
                (core func $count (canon lower (func $secrets "count")))
                (core module $m
                    (import "host" "count" (func $count (param i32) (result i32)))
                    (func (export "run") (param i32) (result i32) (call $count (local.get 0))))
                (core instance $i (instantiate $m
                    (with "host" (instance (export "count" (func $count))))))
                (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#,
            ),
            "it called spin:variables/variables@3.0.0#count, which no dependency is given",
        ),
    ] {
        let linked = Linked::new(CALLER, &dependency, BY_NAME, LogSink::default())?;
        let began = Instant::now();
        let message = match linked.call(&[1]).await {
            Ok(returned) => panic!("{dependency}\nreturned {returned:?}"),
            Err(error) => format!("{error:#}"),
        };
        for part in ["the dependency model failed in t:t/model@0.1.0#run", reason] {
            assert!(message.contains(part), "{message:?} must say {part:?}");
        }
        let patience = DEPENDENCY_CALL_TIME_LIMIT + Duration::from_secs(4);
        assert!(began.elapsed() < patience, "{reason}: it must end in time");
    }
    Ok(())
}

/// The test's own environment is not empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_sees_no_environment() -> Result<()> {
    let dependency = exporting(
        r#"(import "wasi:cli/environment@0.2.6" (instance $environment
            (export "get-environment" (func (result (list (tuple string string)))))))
        (core module $memory
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
        (core instance $memory (instantiate $memory))
        (core func $get (canon lower (func $environment "get-environment")
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
        (core module $m
            (import "host" "get" (func $get (param i32)))
            (import "host" "memory" (memory 1))
            (func (export "run") (param i32) (result i32)
                (call $get (i32.const 0))
                (i32.load (i32.const 4))))
        (core instance $i (instantiate $m (with "host" (instance
            (export "get" (func $get))
            (export "memory" (memory $memory "memory"))))))
        (func $run (param "n" u32) (result u32) (canon lift (core func $i "run")))"#,
    );
    let linked = Linked::new(CALLER, &dependency, BY_NAME, LogSink::default())?;
    assert!(std::env::vars_os().next().is_some());
    assert_eq!(linked.call(&[1]).await?, [0]);
    Ok(())
}

/// More loops than there are places: each caller has its answer in time, and meanwhile the
/// runtime's threads are there for others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_hold_up_nobody() -> Result<()> {
    let dependency = model("(if (local.get 0) (then (loop $again (br $again)))) (i32.const 5)");
    let linked = Linked::new(CALLER, &dependency, BY_NAME, LogSink::default())?;
    let began = Instant::now();
    let loops = join_all((0..30).map(|_| linked.call(&[1])));
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let asked = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let (ended, slowest) = tokio::join!(loops, others);
    for outcome in ended {
        let message = outcome.map_or_else(|error| format!("{error:#}"), |v| format!("{v:?}"));
        assert!(
            message.contains("it took longer than 1 s")
                || message.contains("it waited 1 s for its turn"),
            "{message}"
        );
    }
    let patience = 2 * DEPENDENCY_CALL_TIME_LIMIT + Duration::from_secs(4);
    assert!(
        began.elapsed() < patience,
        "they took {:?}",
        began.elapsed()
    );
    assert!(
        slowest < Duration::from_millis(500),
        "another task waited {slowest:?}"
    );
    assert_eq!(linked.call(&[0]).await?, [5], "the places are free again");
    Ok(())
}

#[test]
fn what_cannot_be_linked_is_said_at_load() -> Result<()> {
    let sound = model("(local.get 0)");
    let other_parameter = sound.replace(r#"(param "n" u32)"#, r#"(param "m" u32)"#);
    let other_result = sound.replace("(result u32)", "(result s32)");
    let resource_caller = r#"(component
        (import "t:t/model@0.1.0" (instance $model
            (export "thing" (type $thing (sub resource)))
            (export "run" (func (param "n" (own $thing)))))))"#;
    let stream_caller = r#"(component
        (type $numbers (stream u32))
        (import "t:t/model@0.1.0" (instance $model
            (export "run" (func (param "n" $numbers))))))"#;
    for (caller, dependency, entries, reason) in [
        (
            CALLER,
            sound.as_str(),
            &[("t:t/other", None)][..],
            "the dependency t:t/other (model): the component has no such import, only t:t/model@0.1.0",
        ),
        (
            CALLER,
            &sound,
            &[("t:t/model@0.2.0", None)],
            "has no such import",
        ),
        (
            CALLER,
            &sound,
            &[("t:t/model", Some("t:t/else"))],
            "it does not export t:t/else, only t:t/model@0.1.0",
        ),
        (
            CALLER,
            "(component)",
            BY_NAME,
            "it does not export t:t/model@0.1.0, only nothing",
        ),
        (
            CALLER,
            r#"(component (instance $i) (export "t:t/model@0.1.0" (instance $i)))"#,
            BY_NAME,
            "its t:t/model@0.1.0 has no function run",
        ),
        (
            CALLER,
            &sound,
            &[("t:t/model", None), ("t:t", None)],
            "both stand for the import t:t/model@0.1.0",
        ),
        (
            CALLER,
            &other_parameter,
            BY_NAME,
            "its t:t/model@0.1.0#run has another type than the import",
        ),
        (
            CALLER,
            &other_result,
            BY_NAME,
            "its t:t/model@0.1.0#run has another type than the import",
        ),
        (CALLER, "(module)", BY_NAME, "is not a component"),
        (
            resource_caller,
            &sound,
            BY_NAME,
            "t:t/model@0.1.0 has the resource thing",
        ),
        (stream_caller, &sound, BY_NAME, "has another type"),
    ] {
        let outcome = Linked::new(caller, dependency, entries, LogSink::default());
        let message = match outcome {
            Ok(_) => panic!("{caller}\nwas linked to\n{dependency}\nas {entries:?}"),
            Err(error) => format!("{error:#}"),
        };
        assert!(message.contains(reason), "{message:?} must say {reason:?}");
    }
    Ok(())
}
