//! What people see while cargo runs: a bar on a terminal, and a line every few seconds elsewhere.

use std::collections::HashSet;
use std::time::Duration;

use cargo_metadata::{Artifact, Message, PackageId};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::Progress;

/// How often the bar is drawn again while a large crate compiles.
const BAR_TICK: Duration = Duration::from_millis(120);

/// Shows the progress of one run of cargo.
pub(super) struct Display {
    bar: ProgressBar,
    plain: bool,
    done: HashSet<PackageId>,
    current: String,
    began: Instant,
}

impl Display {
    pub(super) fn new(progress: Progress, on_terminal: bool) -> Self {
        let bar = if progress == Progress::Shown && on_terminal {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} functions: {pos} crates  {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(BAR_TICK);
            bar
        } else {
            ProgressBar::hidden()
        };
        let plain = progress == Progress::Shown && !on_terminal;
        Self {
            bar,
            plain,
            done: HashSet::new(),
            current: String::new(),
            began: Instant::now(),
        }
    }

    pub(super) fn total(&mut self, crates: u64) {
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} functions: [{bar:30}] {pos}/{len} crates  {wide_msg}",
        ) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(crates.max(self.bar.position()));
    }

    /// Counts the package of a message, and returns what cargo made of it.
    pub(super) fn message(&mut self, line: &str) -> Option<Artifact> {
        let artifact = read_artifact(line)?;
        if self.done.insert(artifact.package_id.clone()) {
            self.bar.inc(1);
        }
        Some(artifact)
    }

    pub(super) fn human(&mut self, line: &str) {
        match classify(&strip_colors(line)) {
            Human::Compiling(name) => {
                self.current = name;
                self.bar.set_message(self.current.clone());
            }
            Human::Status(text) => self.bar.set_message(text),
            Human::Finished => {}
            Human::Diagnostic => self.bar.suspend(|| eprintln!("{line}")),
        }
    }

    /// Ends the bar.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn report(&self) {
        if self.plain && !self.current.is_empty() {
            let seconds = self.began.elapsed().as_secs();
            eprintln!(
                "functions: {} crates compiled after {seconds} s, now {}",
                self.done.len(),
                self.current
            );
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Human {
    Compiling(String),
    /// Something to wait for: a lock, a download.
    Status(String),
    Finished,
    /// Anything else is shown as it is.
    Diagnostic,
}

fn classify(line: &str) -> Human {
    let trimmed = line.trim_start();
    // Cargo right-aligns its own words in twelve columns; a diagnostic that quotes such a line is
    // indented otherwise.
    let (word, rest) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
    if line.len() - trimmed.len() + word.len() != 12 {
        return Human::Diagnostic;
    }
    match word {
        "Compiling" => Human::Compiling(
            rest.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
        ),
        "Blocking" | "Downloading" | "Downloaded" | "Updating" | "Locking" | "Adding" => {
            Human::Status(trimmed.to_owned())
        }
        "Finished" | "Fresh" => Human::Finished,
        _ => Human::Diagnostic,
    }
}

fn strip_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

/// What cargo made, if the line says so. Other messages do not matter here, nor does what a
/// compiler plugin prints between them.
fn read_artifact(line: &str) -> Option<Artifact> {
    match serde_json::from_str(line).ok()? {
        Message::CompilerArtifact(artifact) => Some(artifact),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cargo_metadata::camino::Utf8Path;

    use super::super::component_path;
    use super::*;

    #[test]
    fn lines_of_cargo() {
        for (line, expected) in [
            (
                "   Compiling serde v1.0.0",
                Human::Compiling("serde".into()),
            ),
            (
                "\u{1b}[1m\u{1b}[32m   Compiling\u{1b}[0m syn v2.0.1",
                Human::Compiling("syn".into()),
            ),
            (
                "    Blocking waiting for file lock on build directory",
                Human::Status("Blocking waiting for file lock on build directory".into()),
            ),
            (
                "    Finished `release` profile [optimized] target(s) in 0.1s",
                Human::Finished,
            ),
            ("warning: unused variable: `x`", Human::Diagnostic),
            ("Compiling a story", Human::Diagnostic),
            ("", Human::Diagnostic),
        ] {
            assert_eq!(classify(&strip_colors(line)), expected, "misread {line:?}");
        }
    }

    /// A line of cargo 1.95 about a package that is complete.
    fn artifact_line(name: &str, crate_type: &str, filenames: &[&str], is_fresh: bool) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "package_id": format!("path+file:///p/functions/{name}#0.1.0"),
            "manifest_path": format!("/p/functions/{name}/Cargo.toml"),
            "target": {
                "kind": [crate_type],
                "crate_types": [crate_type],
                "name": name.replace('-', "_"),
                "src_path": format!("/p/functions/{name}/src/lib.rs"),
                "edition": "2024",
                "doc": true,
                "doctest": false,
                "test": true,
            },
            "profile": {
                "opt_level": "s",
                "debuginfo": 0,
                "debug_assertions": false,
                "overflow_checks": false,
                "test": false,
            },
            "features": [],
            "filenames": filenames,
            "executable": null,
            "fresh": is_fresh,
        })
        .to_string()
    }

    #[test]
    fn messages_of_cargo() {
        let component = |is_fresh| artifact_line("a-b", "cdylib", &["/p/t/a_b.wasm"], is_fresh);
        let library = artifact_line("c", "lib", &["/p/t/libc.rlib", "/p/t/libc.rmeta"], false);
        let script = r#"{"reason":"build-script-executed","package_id":"registry+https://example.org#c@1.0.0","linked_libs":[],"linked_paths":[],"cfgs":[],"env":[],"out_dir":"/p/t/c/out"}"#;
        for (line, expected) in [
            (component(true), Some(("a-b", Some("/p/t/a_b.wasm"), true))),
            (
                component(false),
                Some(("a-b", Some("/p/t/a_b.wasm"), false)),
            ),
            (library, Some(("c", None, false))),
            (script.to_owned(), None),
            (
                r#"{"reason":"build-finished","success":true}"#.to_owned(),
                None,
            ),
            (r#"{"reason":"of-a-later-cargo"}"#.to_owned(), None),
            ("not json".to_owned(), None),
        ] {
            let artifact = read_artifact(&line);
            let read = artifact.as_ref().map(|artifact| {
                let folder = artifact.manifest_path.parent();
                (
                    folder.and_then(Utf8Path::file_name).unwrap_or_default(),
                    component_path(artifact).map(Utf8Path::as_str),
                    artifact.fresh,
                )
            });
            assert_eq!(read, expected, "misread {line}");
        }
    }

    #[test]
    fn a_package_is_counted_once() {
        let mut display = Display::new(Progress::Hidden, false);
        for (name, crate_type, count) in [
            ("a", "custom-build", 1),
            ("a", "cdylib", 1),
            ("b", "lib", 2),
        ] {
            let line = artifact_line(name, crate_type, &[], false);
            assert!(display.message(&line).is_some(), "misread {line}");
            assert_eq!(display.done.len(), count, "after {crate_type} of {name}");
        }
    }
}
