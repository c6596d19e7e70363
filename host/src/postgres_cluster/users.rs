//! Who uses a cluster, and the watchdog that stops the server after the last of them.
//!
//! A user is a file `users/<pid>.<n>` that its process keeps locked: the lock vanishes with the
//! process however it ends, so a registration is never believed because of a reused process id.
//!
//! The watchdog is a shell that reads a pipe from the process it watches. The pipe ends with
//! that process, even on SIGKILL; it then removes the registration and stops the server if
//! nobody else is registered, and removes the data of a volatile cluster. A shell has no portable file locks, so starting and stopping
//! exclude each other thus: the watchdog first writes `stopping/<pid>` and then looks for users,
//! a starting process first registers and then looks for `stopping`. Whatever the order, one of
//! them sees the other.

use std::fs::{File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use super::{Durability, process};

/// The name under which the watchdog shows in a process list.
const WATCHDOG_NAME: &str = "turnpike-postgres-watchdog";

/// How long a starting process waits for a watchdog: it gives a server 10 s to stop in order and
/// 10 s more to stop at once, and 10 s are for a slow machine.
const STOPPING_PATIENCE: Duration = Duration::from_secs(30);

const WATCHDOG_SCRIPT: &str = r#"
trap '' HUP INT TERM
cluster=$1
registration=$2
durability=$3

alive() {
    kill -0 "$1" 2>/dev/null || return 1
    if [ -r "/proc/$1/stat" ]; then
        state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null)
    else
        state=$(ps -o stat= -p "$1" 2>/dev/null)
    fi
    case $state in Z*) return 1 ;; esac
    return 0
}

is_postmaster() {
    if [ -r "/proc/$1/cmdline" ]; then
        arguments=$(tr '\000' ' ' < "/proc/$1/cmdline" 2>/dev/null)
    else
        arguments=$(ps -ww -o args= -p "$1" 2>/dev/null)
    fi
    case $arguments in *"$cluster/data"*) return 0 ;; esac
    return 1
}

while read -r line; do :; done

rm -f "$cluster/users/$registration"
: > "$cluster/stopping/$$" || exit 0
in_use=no
for user in "$cluster"/users/*; do
    [ -e "$user" ] || continue
    pid=${user##*/}
    if alive "${pid%%.*}"; then in_use=yes; fi
done
if [ $in_use = no ]; then
    pid=$(head -n 1 "$cluster/data/postmaster.pid" 2>/dev/null)
    tenths=0
    while [ -n "$pid" ] && [ $tenths -lt 200 ] && alive "$pid" && is_postmaster "$pid"; do
        # A first INT asks for a fast shutdown; QUIT, after 10 s, for an immediate one. CONT is
        # for a server that was suspended.
        case $tenths in
            0) kill -INT "$pid"; kill -CONT "$pid" ;;
            100) kill -QUIT "$pid" ;;
        esac
        tenths=$((tenths + 1))
        sleep 0.1 || sleep 1
    done
    if [ "$durability" = volatile ]; then rm -rf "$cluster/data"; fi
fi
rm -f "$cluster/stopping/$$"
"#;

/// One registered use of a cluster. Dropping it ends the use, and with the last one the server.
#[derive(Debug)]
pub(super) struct Registration {
    file: PathBuf,
    /// Locked for as long as the registration counts.
    _lock: File,
    watchdog: Option<Child>,
}

static REGISTRATIONS: AtomicU64 = AtomicU64::new(0);

impl Registration {
    /// Registers this process and starts its watchdog.
    pub(super) fn new(cluster: &Path, durability: Durability) -> Result<Self> {
        for folder in ["users", "stopping"] {
            let path = cluster.join(folder);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        let name = format!(
            "{}.{}",
            std::process::id(),
            REGISTRATIONS.fetch_add(1, Ordering::Relaxed)
        );
        let file = cluster.join("users").join(&name);
        let lock =
            File::create(&file).with_context(|| format!("cannot create {}", file.display()))?;
        lock.lock()
            .with_context(|| format!("cannot lock {}", file.display()))?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG_SCRIPT, WATCHDOG_NAME])
            .arg(cluster)
            .arg(&name)
            .arg(match durability {
                Durability::Durable | Durability::Test => "kept",
                Durability::Volatile => "volatile",
            })
            .current_dir("/")
            .stdin(Stdio::piped())
            // Holding our output open would make a reader of it wait for the watchdog.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the whole process group of the terminal, which this must outlive.
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh, which watches the private Postgres")?;
        Ok(Self {
            file,
            _lock: lock,
            watchdog: Some(watchdog),
        })
    }

    /// Ends the use, and waits until the watchdog has stopped the server if this was the last.
    pub(super) async fn end(mut self) -> Result<()> {
        let watchdog = self.release();
        drop(self);
        if let Some(mut watchdog) = watchdog {
            tokio::task::spawn_blocking(move || watchdog.wait()).await??;
        }
        Ok(())
    }

    fn release(&mut self) -> Option<Child> {
        let mut watchdog = self.watchdog.take()?;
        let _ = std::fs::remove_file(&self.file);
        drop(watchdog.stdin.take());
        Some(watchdog)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.release() {
            // Collects the ended watchdog without making the dropping thread wait for it.
            std::thread::spawn(move || watchdog.wait());
        }
    }
}

/// Removes the registrations of processes that are gone. Call it with the cluster's lock held.
pub(super) fn remove_stale(cluster: &Path) {
    for path in entries(&cluster.join("users")) {
        if let Ok(file) = File::open(&path)
            && !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
        {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Waits until no watchdog is deciding about the server or stopping it.
pub(super) async fn wait_for_watchdogs(cluster: &Path) -> Result<()> {
    let deadline = Instant::now() + STOPPING_PATIENCE;
    loop {
        let mut busy = None;
        for path in entries(&cluster.join("stopping")) {
            let pid = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let is_watchdog = |pid| {
                process::is_alive(pid)
                    && process::arguments(pid).is_some_and(|text| text.contains(WATCHDOG_NAME))
            };
            match pid {
                Some(pid) if is_watchdog(pid) => busy = Some(pid),
                _ => drop(std::fs::remove_file(&path)),
            }
        }
        let Some(pid) = busy else { return Ok(()) };
        if Instant::now() > deadline {
            bail!(
                "process {pid} has been stopping the private Postgres for too long: end it and try again"
            );
        }
        sleep(Duration::from_millis(25)).await;
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}
