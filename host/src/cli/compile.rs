//! The components are compiled by a process of their own.
//!
//! To compile sixty components on several threads leaves a gigabyte in the hands of the C
//! library's allocator, which keeps most of it for as long as the process lives. So `turnpike up`
//! has a child compile what has changed, into the cache that both use, and then loads what is
//! there. The memory goes with the child.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::project::Project;
use crate::runtime::app::{DEFAULT_CACHE_DIR, LoadedApp};

/// The file that says what was compiled last, in the project's state. It is not in the cache's
/// folder, which removes what it does not know.
const COMPILED_FILE: &str = "compiled-components";

/// Compiles the components, and writes a line for each: how many are done, of how many, and its
/// id. It is the command of the child.
///
/// # Errors
/// As [`LoadedApp::load`].
pub async fn run(project: &Project) -> Result<()> {
    let progress = |done: usize, total: usize, id: &str| {
        // A parent that has gone needs no progress.
        let _ = writeln!(std::io::stdout(), "{done} {total} {id}");
    };
    LoadedApp::load(project.manifest_path(), None, progress).await?;
    Ok(())
}

/// Has a child compile the components, unless it has compiled these before. What it cannot do is
/// left to whoever loads them, who also finds the reason.
pub async fn compile_in_child(project: &Project, progress: impl Fn(usize, usize, &str)) {
    let compiled = async {
        let program = std::env::current_exe().context("this program has no path")?;
        let mut child = Command::new(&program);
        child.arg("compile");
        child.arg("--manifest").arg(project.manifest_path());
        let sources = project.manifest()?.components.into_values();
        let files = std::iter::once(program).chain(sources.map(|component| component.source));
        let record = Record {
            path: project.state().join(COMPILED_FILE),
            text: describe(files)?,
        };
        let cache = project.root().join(DEFAULT_CACHE_DIR);
        if !cache.is_dir() || !record.is_kept() {
            run_child(child, progress).await?;
            record.keep()?;
        }
        Ok::<_, anyhow::Error>(())
    };
    if let Err(error) = compiled.await {
        tracing::info!("no child has compiled the components: {error:#}");
    }
}

/// What was compiled, and where it is written down.
struct Record {
    path: PathBuf,
    text: String,
}

impl Record {
    fn is_kept(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|kept| kept == self.text)
    }

    fn keep(&self) -> Result<()> {
        std::fs::write(&self.path, &self.text)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The files by their sizes and times, as a build tool knows them. Their contents would take
/// longer to read than the cache takes to find them.
///
/// # Errors
/// One of them is not there.
fn describe(files: impl IntoIterator<Item = PathBuf>) -> Result<String> {
    let mut text = String::new();
    for file in files {
        let (bytes, nanos) =
            size_and_time(&file).with_context(|| format!("cannot see {}", file.display()))?;
        writeln!(text, "{} {bytes} {nanos}", file.display())?;
    }
    Ok(text)
}

/// How many bytes a file has, and when it was changed, in nanoseconds.
fn size_and_time(file: &Path) -> Result<(u64, u128)> {
    let metadata = std::fs::metadata(file)?;
    let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH)?;
    Ok((metadata.len(), since_epoch.as_nanos()))
}

/// Runs the child to its end, and tells of its progress.
///
/// # Errors
/// It cannot be started, or it failed. What it says is not shown, because whoever loads the
/// components finds the same.
async fn run_child(mut child: Command, progress: impl Fn(usize, usize, &str)) -> Result<()> {
    let mut child = child
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("it cannot be started")?;
    let output = child.stdout.take().context("it has no output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.context("its output broke off")? {
        if let Some((done, total, id)) = read_progress(&line) {
            progress(done, total, id);
        }
    }
    let status = child.wait().await.context("it cannot be waited for")?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

fn read_progress(line: &str) -> Option<(usize, usize, &str)> {
    let (done, rest) = line.split_once(' ')?;
    let (total, id) = rest.split_once(' ')?;
    Some((done.parse().ok()?, total.parse().ok()?, id))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::postgres_cluster::ScratchDirectory;

    /// What a shell prints, as progress, and whether it ended well.
    async fn progress_of(script: &str) -> (Vec<String>, bool) {
        let seen = RefCell::new(Vec::new());
        let mut child = Command::new("sh");
        child.args(["-c", script]);
        let ended = run_child(child, |done, total, id| {
            seen.borrow_mut().push(format!("{done}/{total} {id}"));
        });
        let is_good = ended.await.is_ok();
        (seen.into_inner(), is_good)
    }

    #[tokio::test]
    async fn a_child_tells_how_far_it_is_and_whether_it_failed() {
        let table: [(&str, &[&str], bool); 4] = [
            (
                "echo 1 2 health; echo 2 2 credits-balance",
                &["1/2 health", "2/2 credits-balance"],
                true,
            ),
            ("echo 1 2 health; exit 1", &["1/2 health"], false),
            (
                "echo hello; echo 1 2; echo 1 x y; echo 3 4 z",
                &["3/4 z"],
                true,
            ),
            ("kill -9 $$", &[], false),
        ];
        for (script, expected, is_good) in table {
            let (seen, ended) = progress_of(script).await;
            assert_eq!(
                (seen.as_slice(), ended),
                (&*owned(expected), is_good),
                "{script}"
            );
        }
        let missing = Command::new("/nonexistent/turnpike");
        let error = run_child(missing, |_, _, _| {}).await;
        assert!(error.is_err(), "there is no such program");
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_was_compiled_is_known_until_a_file_changes() {
        let scratch = ScratchDirectory::new();
        let [first, second] = ["first.wasm", "second.wasm"].map(|name| scratch.path().join(name));
        let write = |path: &Path, text: &str| std::fs::write(path, text).expect("it is writable");
        write(&first, "a");
        write(&second, "b");
        let record = |files: &[&PathBuf]| Record {
            path: scratch.path().join(COMPILED_FILE),
            text: describe(files.iter().map(|file| (*file).clone())).expect("the files are there"),
        };
        assert!(
            !record(&[&first, &second]).is_kept(),
            "nothing was compiled"
        );
        record(&[&first, &second])
            .keep()
            .expect("it can be written");
        assert!(record(&[&first, &second]).is_kept());
        assert!(!record(&[&first]).is_kept(), "other components");
        write(&second, "longer");
        assert!(!record(&[&first, &second]).is_kept(), "another size");
        record(&[&first, &second])
            .keep()
            .expect("it can be written");
        let earlier = std::fs::metadata(&first).and_then(|metadata| metadata.modified());
        let earlier = earlier.expect("it has a time") - std::time::Duration::from_secs(60);
        std::fs::File::options()
            .write(true)
            .open(&first)
            .and_then(|file| file.set_modified(earlier))
            .expect("its time can be set");
        assert!(!record(&[&first, &second]).is_kept(), "another time");
        std::fs::remove_file(&first).expect("it is there");
        assert!(describe([first]).is_err(), "it is there no more");
    }
}
