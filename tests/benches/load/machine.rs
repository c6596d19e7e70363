//! What a benchmark ran on.

use std::path::Path;
use std::process::Stdio;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// What a run ran on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor cores, which the host, Postgres and the load generator share.
    pub cores: usize,
    /// As in `linux`.
    pub operating_system: String,
    /// As in `x86_64`.
    pub architecture: String,
    /// When it began, RFC 3339 in UTC.
    pub date: String,
    /// The commit of what was measured, with `+` if files were changed; where git tells.
    pub commit: Option<String>,
}

impl Machine {
    /// This one, at `date`, with the project in `root`.
    ///
    /// # Errors
    /// The system does not say how many cores it has.
    pub async fn describe(root: &Path, date: String) -> Result<Self> {
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            operating_system: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            date,
            commit: commit(root).await,
        })
    }

    /// In a line.
    pub fn to_line(&self) -> String {
        format!(
            "{} cores, {} on {}, {}, {}",
            self.cores,
            self.operating_system,
            self.architecture,
            self.date,
            self.commit.as_deref().unwrap_or("unknown commit")
        )
    }
}

/// The commit of the project, with `+` if files differ from it; `None` without git.
async fn commit(root: &Path) -> Option<String> {
    let git = async |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root)
            .stderr(Stdio::null())
            .output()
            .await
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let id = git(&["rev-parse", "--short=12", "HEAD"]).await?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]).await?;
    Some(if changes.is_empty() {
        id
    } else {
        format!("{id}+")
    })
}
