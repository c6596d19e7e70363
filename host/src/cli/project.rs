//! The project a command works on, and what the commands say about it.

use std::fmt::{Arguments, Display};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::function_build::{BuiltFunction, Progress};
use crate::manifest::Manifest;
use crate::migrations::Report;
use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::arguments::Common;

pub struct Project {
    manifest: PathBuf,
    root: PathBuf,
    quiet: bool,
}

impl Project {
    pub fn find(arguments: Common) -> Result<Self> {
        let manifest = match arguments.manifest {
            Some(path) => {
                ensure!(path.is_file(), "there is no manifest {}", path.display());
                path
            }
            None => {
                let here = std::env::current_dir().context("cannot find the current directory")?;
                here.ancestors()
                    .map(|folder| folder.join("spin.toml"))
                    .find(|path| path.is_file())
                    .with_context(|| format!("no spin.toml in {} or above: change to the project, or give --manifest", here.display()))?
            }
        };
        let manifest = manifest
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", manifest.display()))?;
        let root = manifest
            .parent()
            .context("the manifest has no directory")?
            .to_owned();
        Ok(Self {
            manifest,
            root,
            quiet: arguments.quiet,
        })
    }

    /// The project that this program is a part of.
    #[cfg(test)]
    pub fn of_this_program() -> Self {
        let host = Path::new(env!("CARGO_MANIFEST_DIR"));
        let common = Common {
            manifest: Some(host.join("..").join("spin.toml")),
            quiet: true,
        };
        Self::find(common).expect("the host has a folder in the project")
    }

    pub fn manifest_path(&self) -> &Path {
        &self.manifest
    }

    pub fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.manifest)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where everything that belongs to this machine is kept.
    pub fn state(&self) -> PathBuf {
        self.root.join(".turnpike")
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A bar that is moved as work is done, if little is not to be said. The template is indicatif's.
    pub fn bar(&self, template: &str) -> ProgressBar {
        let bar = if self.quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }

    pub fn progress(&self) -> Progress {
        if self.quiet {
            Progress::Hidden
        } else {
            Progress::Shown
        }
    }

    /// A line on stdout. Nobody reading it any more is no reason to stop serving.
    pub fn say(&self, text: Arguments<'_>) {
        if !self.quiet {
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// A path as the user would write it from the project's root.
    pub fn relative<'a>(&self, path: &'a Path) -> impl Display + use<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }

    /// Lists the functions that were built, or all of them, and sums them up.
    pub fn say_built(&self, functions: &[BuiltFunction], all: bool) {
        let rebuilt = functions.iter().filter(|function| function.rebuilt).count();
        for function in functions.iter().filter(|function| all || function.rebuilt) {
            let state = if function.rebuilt { "built" } else { "current" };
            self.say(format_args!(
                "  {state:<9} {:>6} KB  {}",
                kilobytes(function.size_bytes),
                self.relative(&function.path)
            ));
        }
        let total_bytes = functions.iter().map(|function| function.size_bytes).sum();
        self.say(format_args!(
            "functions   {} in {} KB: {rebuilt} built, {} current",
            functions.len(),
            kilobytes(total_bytes),
            functions.len() - rebuilt
        ));
    }

    pub fn say_migrated(&self, report: &Report) {
        for migration in &report.migrations {
            self.say(format_args!(
                "  applied   {}_{} in {} ms",
                migration.version,
                migration.name,
                migration.duration.as_millis()
            ));
        }
        match report.migrations.len() {
            0 => self.say(format_args!("migrations  none to apply")),
            count => self.say(format_args!("migrations  {count} applied")),
        }
        let functions = &report.functions;
        match functions.applied {
            None => self.say(format_args!("sql         functions are current")),
            Some(count) => self.say(format_args!("sql         {count} functions applied")),
        }
        for function in &functions.pruned {
            self.say(format_args!("  dropped   {function}"));
        }
        for function in &functions.leftovers {
            self.say(format_args!("  left over {function}"));
        }
        if !functions.leftovers.is_empty() {
            self.say(format_args!(
                "            once no instance of the release before runs: turnpike migrate --prune"
            ));
        }
    }
}

/// Rounded up, so that nothing shows as empty.
fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1000)
}
