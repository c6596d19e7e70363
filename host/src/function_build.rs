//! Builds the functions that spin.toml names, all of them with one run of cargo.

mod display;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Artifact;
use cargo_metadata::camino::Utf8Path;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::display::Display;
use crate::manifest::Manifest;

/// What components are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// The profile of the workspace's Cargo.toml that they are built with.
const PROFILE: &str = "function";

/// How often a build without a terminal says how far it is.
const PLAIN_REPORT_INTERVAL: Duration = Duration::from_secs(3);

/// How many of cargo's lines may wait to be shown. Cargo waits when there are more.
const LINES_IN_FLIGHT: usize = 256;

/// A function that is ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltFunction {
    /// The component's id, which is also its crate and its folder.
    pub component_id: String,
    /// The component, where spin.toml expects it.
    pub path: PathBuf,
    /// The size of that file.
    pub size_bytes: u64,
    /// Whether it had to be built; otherwise it was up to date.
    pub rebuilt: bool,
}

/// How much a build says while it runs. Compiler messages are always shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A bar on a terminal, a line every few seconds elsewhere.
    Shown,
    /// Nothing.
    Hidden,
}

/// Builds the given components, or all that spin.toml names and that have a folder in
/// `functions/`, and shows progress on stderr.
///
/// # Errors
///
/// When an id is unknown, cargo or the wasm target is missing and cannot be installed, or
/// something does not compile; cargo's messages go to stderr.
pub async fn build(root: &Path, component_ids: Option<&[String]>) -> Result<Vec<BuiltFunction>> {
    build_with(
        &Manifest::read(&root.join("spin.toml"))?,
        component_ids,
        Progress::Shown,
    )
    .await
}

/// [`build`] for a manifest that was read already, with a choice of what to show.
///
/// # Errors
///
/// As [`build`].
pub async fn build_with(
    manifest: &Manifest,
    component_ids: Option<&[String]>,
    progress: Progress,
) -> Result<Vec<BuiltFunction>> {
    let sources = choose(manifest, component_ids)?;
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    ensure_target(&manifest.root).await?;
    let artifacts = run_cargo(&manifest.root, sources.keys(), progress).await?;
    sources
        .into_iter()
        .map(|(id, source)| place(&manifest.root, id, source, &artifacts))
        .collect()
}

/// The components to build, and where spin.toml expects each.
fn choose(manifest: &Manifest, wanted: Option<&[String]>) -> Result<BTreeMap<String, PathBuf>> {
    let has_folder = |id: &str| crate_manifest(&manifest.root, id).is_file();
    for id in wanted.unwrap_or_default() {
        ensure!(
            manifest.components.contains_key(id),
            "spin.toml has no [component.{id}]: check the name, or add the stanza"
        );
        ensure!(
            has_folder(id),
            "component {id} has no crate: create functions/{id}/Cargo.toml"
        );
    }
    Ok(manifest
        .components
        .values()
        .filter(|component| {
            wanted.map_or_else(
                || has_folder(&component.id),
                |wanted| wanted.contains(&component.id),
            )
        })
        .map(|component| (component.id.clone(), component.source.clone()))
        .collect())
}

/// Where the Cargo.toml of a component's crate is: in `functions/`, or, for a manifest that has no
/// such folder, beside the manifest.
fn crate_manifest(root: &Path, id: &str) -> PathBuf {
    let functions = root.join("functions");
    let folder = if functions.is_dir() {
        functions
    } else {
        root.to_owned()
    };
    folder.join(id).join("Cargo.toml")
}

/// Installs the standard library for [`TARGET`] if it is missing.
async fn ensure_target(root: &Path) -> Result<()> {
    let mut rustc = command("rustc", root);
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let output = rustc
        .output()
        .await
        .context("cannot run rustc: install Rust from https://rustup.rs")?;
    ensure!(
        output.status.success(),
        "this Rust does not know the target {TARGET}: update it with `rustup update`.\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    eprintln!("installing the Rust target {TARGET}");
    let mut rustup = command("rustup", root);
    rustup.args(["target", "add", TARGET]);
    let status = rustup.status().await.with_context(|| {
        format!("this Rust lacks the target {TARGET}, and there is no rustup to add it: install the package of your system that holds it, or Rust from https://rustup.rs")
    })?;
    ensure!(
        status.success(),
        "`rustup target add {TARGET}` failed: run it by hand in {}",
        root.display()
    );
    Ok(())
}

/// A tool of the Rust toolchain, run in the project as if from a fresh terminal.
fn command(program: &str, root: &Path) -> Command {
    let mut command = std::process::Command::new(program);
    clear_build_environment(&mut command);
    command.current_dir(root).stdin(Stdio::null());
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command
}

/// Removes what a surrounding `cargo run`, `cargo test` or `cargo clippy` set for its own crate:
/// it would make the inner cargo rebuild everything, or build it differently. Where to find and
/// put things (`CARGO_HOME`, `CARGO_TARGET_DIR`, `RUSTUP_TOOLCHAIN`, network settings) stays.
pub fn clear_build_environment(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_surrounding_build) {
            command.env_remove(name);
        }
    }
}

fn is_of_surrounding_build(name: &str) -> bool {
    const NAMES: [&str; 26] = [
        "CARGO",
        "CARGO_BUILD_RUSTC",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_CRATE_NAME",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MAKEFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "MAKEFLAGS",
        "MFLAGS",
        "OUT_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "TARGET",
        "HOST",
    ];
    const PREFIXES: [&str; 6] = [
        "CARGO_BIN_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_WASM",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Runs cargo, shows how far it is, and returns what it made that holds a component.
async fn run_cargo(
    root: &Path,
    ids: impl Iterator<Item = &String>,
    progress: Progress,
) -> Result<Vec<Artifact>> {
    let packages: Vec<&str> = ids.flat_map(|id| ["-p", id]).collect();
    let mut cargo = command("cargo", root);
    cargo
        .args([
            "build",
            "--target",
            TARGET,
            "--profile",
            PROFILE,
            "--message-format=json-render-diagnostics",
        ])
        .args(&packages);
    let on_terminal = std::io::stderr().is_terminal();
    if on_terminal {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = cargo
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo: install Rust from https://rustup.rs")?;

    let (sender, mut lines) = mpsc::channel(LINES_IN_FLIGHT);
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, Line::Message, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, Line::Human, sender.clone());
    }
    if progress == Progress::Shown && on_terminal {
        let tree = count_crates(root, &packages);
        let sender = sender.clone();
        tokio::spawn(async move {
            if let Some(total) = tree.await {
                let _ = sender.send(Line::Total(total)).await;
            }
        });
    }
    drop(sender);

    let mut display = Display::new(progress, on_terminal);
    let mut artifacts = Vec::new();
    let mut ticks = interval(PLAIN_REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(Line::Message(text)) => artifacts.extend(display.message(&text).filter(has_component)),
                Some(Line::Human(text)) => display.human(&text),
                Some(Line::Total(crates)) => display.total(crates),
                None => break,
            },
            _ = ticks.tick() => display.report(),
        }
    }
    let status = child.wait().await.context("cannot wait for cargo")?;
    display.end();
    ensure!(
        status.success(),
        "the functions do not build: see cargo's messages above"
    );
    Ok(artifacts)
}

enum Line {
    /// A JSON message.
    Message(String),
    /// A line for people.
    Human(String),
    /// How many crates there are to compile.
    Total(u64),
}

fn forward(
    source: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    wrap: fn(String) -> Line,
    sender: mpsc::Sender<Line>,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(source).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(wrap(line)).await.is_err() {
                return;
            }
        }
    });
}

/// The number of crates in the functions' dependency tree, for the length of the bar.
fn count_crates(root: &Path, packages: &[&str]) -> impl Future<Output = Option<u64>> + use<> {
    let mut cargo = command("cargo", root);
    cargo
        .args([
            "tree",
            "--target",
            TARGET,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--quiet",
        ])
        .args(packages)
        .stderr(Stdio::null());
    async move {
        let output = cargo.output().await.ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        u64::try_from(count_tree(&text))
            .ok()
            .filter(|count| *count > 0)
    }
}

fn count_tree(text: &str) -> usize {
    let name = |line| -> Option<(&str, &str)> {
        let mut words = str::split_whitespace(line);
        Some((words.next()?, words.next()?))
    };
    text.lines().filter_map(name).collect::<BTreeSet<_>>().len()
}

fn has_component(artifact: &Artifact) -> bool {
    component_path(artifact).is_some()
}

/// The .wasm among the files that cargo made.
fn component_path(artifact: &Artifact) -> Option<&Utf8Path> {
    artifact
        .filenames
        .iter()
        .find(|path| path.extension() == Some("wasm"))
        .map(|path| path.as_path())
}

/// Makes sure that a component is where spin.toml expects it, which it is not when
/// `CARGO_TARGET_DIR` points elsewhere.
fn place(
    root: &Path,
    id: String,
    source: PathBuf,
    artifacts: &[Artifact],
) -> Result<BuiltFunction> {
    let manifest = crate_manifest(root, &id);
    let manifest = manifest
        .canonicalize()
        .with_context(|| format!("cannot find {}", manifest.display()))?;
    let made = artifacts.iter().find(|artifact| {
        artifact
            .manifest_path
            .canonicalize()
            .is_ok_and(|path| path == manifest)
    });
    let Some((artifact, wasm)) = made.and_then(|made| Some((made, component_path(made)?))) else {
        bail!(
            "crate {id} makes no component: put crate-type = [\"cdylib\"] under [lib] in functions/{id}/Cargo.toml"
        );
    };
    let size_bytes = file_size_bytes(wasm.as_std_path())?;
    if wasm.canonicalize().ok() != source.canonicalize().ok() {
        copy_changed(wasm.as_std_path(), &source)
            .with_context(|| format!("cannot copy {wasm} to {}", source.display()))?;
    }
    Ok(BuiltFunction {
        component_id: id,
        path: source,
        size_bytes,
        rebuilt: !artifact.fresh,
    })
}

/// Copies a file unless the other is the same. It appears whole, because another process may be
/// loading it.
fn copy_changed(from: &Path, to: &Path) -> std::io::Result<()> {
    let content = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let partial = to.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&partial, content)?;
    std::fs::rename(&partial, to)
}

fn file_size_bytes(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)
        .with_context(|| format!("cannot look at {}", path.display()))?
        .len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres_cluster::ScratchDirectory;

    #[test]
    fn trees_are_counted_by_package() {
        let text = "a v0.1.0 (/p/functions/a)\nserde v1.0.0\nserde v1.0.0 (*)\nsyn v1.0.0 (proc-macro)\nsyn v2.0.0\n\nb v0.1.0 (/p/b)\nserde v1.0.0 (*)\n";
        assert_eq!(count_tree(text), 5);
        assert_eq!(count_tree(""), 0);
    }

    #[test]
    fn environment_of_a_surrounding_build() {
        for (name, cleared) in [
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_PKG_NAME", true),
            ("RUSTFLAGS", true),
            ("RUSTC_WORKSPACE_WRAPPER", true),
            ("CARGO_HOME", false),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_BUILD_JOBS", false),
            ("RUSTUP_TOOLCHAIN", false),
            ("PATH", false),
        ] {
            assert_eq!(
                is_of_surrounding_build(name),
                cleared,
                "whether {name} is cleared"
            );
        }
    }

    #[test]
    fn choosing_components() {
        let project = ScratchDirectory::new();
        let root = project.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a folder"))
                .expect("the scratch directory can be written");
            std::fs::write(path, text).expect("the scratch directory can be written");
        };
        let text = "spin_manifest_version = 2\n[application]\nname = \"shop\"\n\
                    [component.a]\nsource = \"t/a.wasm\"\n[component.b]\nsource = \"t/b.wasm\"\n";
        let manifest = Manifest::parse(text, root).expect("the manifest is complete");
        write("functions/a/Cargo.toml", "");
        write("functions/stray/Cargo.toml", "");
        for (wanted, expected) in [
            (None, Ok(vec!["a"])),
            (Some(vec!["a"]), Ok(vec!["a"])),
            (Some(vec![]), Ok(vec![])),
            (Some(vec!["b"]), Err("functions/b/Cargo.toml")),
            (Some(vec!["stray"]), Err("no [component.stray]")),
        ] {
            let wanted: Option<Vec<String>> =
                wanted.map(|ids| ids.into_iter().map(str::to_owned).collect());
            match (choose(&manifest, wanted.as_deref()), expected) {
                (Ok(chosen), Ok(ids)) => assert_eq!(
                    chosen.keys().collect::<Vec<_>>(),
                    ids,
                    "chosen for {wanted:?}"
                ),
                (Err(error), Err(part)) => assert!(
                    error.to_string().contains(part),
                    "say {part:?} for {wanted:?}: {error}"
                ),
                (chosen, expected) => panic!("{wanted:?} gave {chosen:?}, not {expected:?}"),
            }
        }
    }
}
