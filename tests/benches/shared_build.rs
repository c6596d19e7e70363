//! What the builds share: `cargo bench` builds wasmtime no second time after `cargo run --release`,
//! and what is optimised less for the host is not a part of the functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that take most of a first build.
const HEAVY_CRATES: [&str; 3] = ["wasmtime v", "wasmtime-wasi v", "wasmtime-wasi-http v"];

/// Each package with its features, and what it is built from.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Reads what `cargo tree` prints with the depth before each package. A package that was printed
/// before is printed again without what it is built from.
fn graph(tree: &str) -> Graph {
    let mut graph = Graph::new();
    let mut ancestors: Vec<&str> = Vec::new();
    for line in tree.lines() {
        let package = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let depth: usize = match line[..line.len() - package.len()].parse() {
            Ok(depth) => depth,
            Err(_) => continue,
        };
        let package = package.trim_end_matches("(*)").trim_end();
        ancestors.truncate(depth);
        if let Some(parent) = ancestors.last() {
            let parent = graph.entry((*parent).to_owned()).or_default();
            parent.insert(package.to_owned());
        }
        ancestors.push(package);
    }
    graph
}

/// All that the heavy crates are built from, and they themselves.
fn built_for_heavy_crates(graph: &Graph) -> BTreeSet<String> {
    let is_heavy = |package: &&String| HEAVY_CRATES.iter().any(|heavy| package.starts_with(heavy));
    let mut waiting: Vec<&String> = graph.keys().filter(is_heavy).collect();
    let mut built = BTreeSet::new();
    while let Some(package) = waiting.pop() {
        if built.insert(package.clone()) {
            waiting.extend(graph.get(package).into_iter().flatten());
        }
    }
    built
}

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `cargo tree` prints of a build, each package with its features and its depth.
fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "depth"])
        .args(["--format", "{p} {f}"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed: {complaints}");
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The crates that `[profile.release.package]` names.
fn optimised_less(manifest: &str) -> Vec<&str> {
    let (_, table) = manifest
        .split_once("\n[profile.release.package]\n")
        .unwrap_or_default();
    let entries = table.lines().take_while(|line| !line.starts_with('['));
    entries
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn the_benchmarks_use_the_wasmtime_of_the_release_build() {
    let run = tree(&["-p", "turnpike-host", "-e", "normal,build"]);
    let run = built_for_heavy_crates(&graph(&run));
    let bench = tree(&["-p", "turnpike-tests", "-e", "normal,build,dev"]);
    let bench = built_for_heavy_crates(&graph(&bench));
    assert!(run.len() > 100, "wasmtime has more parts than {run:#?}");
    let others: Vec<&String> = run.symmetric_difference(&bench).collect();
    assert!(
        others.is_empty(),
        "host/Cargo.toml must ask for the features that the tests' dependencies ask for, or \
         `cargo bench` builds wasmtime again: {others:#?}"
    );
}

#[test]
fn what_is_optimised_less_is_not_in_the_functions() {
    let folders = fs::read_dir(root().join("functions")).expect("the functions are there");
    let ids: Vec<String> = folders
        .map(|folder| folder.expect("a folder is read").file_name())
        .map(|id| id.into_string().expect("an id is ASCII"))
        .collect();
    let mut arguments = vec!["--target", "wasm32-wasip2", "-e", "normal"];
    for id in &ids {
        arguments.extend(["-p", id]);
    }
    let tree = tree(&arguments);
    let in_functions: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit()))
        .filter_map(|package| package.split_once(' '))
        .map(|(name, _)| name)
        .collect();
    assert!(in_functions.contains("turnpike-shared"), "{tree}");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest is there");
    let named = optimised_less(&manifest);
    assert!(named.contains(&"cranelift-codegen"), "{named:?}");
    let wrong: Vec<&str> = named
        .into_iter()
        .filter(|name| in_functions.contains(name))
        .collect();
    assert!(
        wrong.is_empty(),
        "the functions' profile inherits [profile.release.package], so take these from it: {wrong:?}"
    );
}

#[test]
fn trees_are_read() {
    let tree =
        "0host v1 \n1a v1 x\n2wasmtime v1 y,z\n3b v1 \n1c v1 \n2wasmtime v1 y,z (*)\n2d v1 \n";
    let graph = graph(tree);
    let expected: BTreeSet<String> = ["wasmtime v1 y,z", "b v1"].map(str::to_owned).into();
    assert_eq!(built_for_heavy_crates(&graph), expected);
    assert_eq!(graph["c v1"].len(), 2);
}
