//! Creates a data directory and starts a server on it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::account::{self, Account};
use super::binaries::Binaries;
use super::{Durability, POLL_INTERVAL, START_PATIENCE, SUPERUSER};

/// Enough for forty components with a pool each under Spin, and for the tests of all cores.
const MAX_CONNECTIONS: u32 = 500;

/// A socket address holds 104 bytes on macOS and 108 on Linux, the end mark included.
const SOCKET_PATH_MAX_BYTES: usize = 100;

/// A log larger than this is set aside when the server starts; one old log is kept.
const LOG_MAX_BYTES: u64 = 10 * 1024 * 1024;

const LOG_TAIL_LINES: usize = 20;

/// What the log of a failed start is read for; more could only repeat itself.
const LOG_TAIL_MAX_BYTES: u64 = 64 * 1024;

/// A port may be taken between our test and the server's start, again and again on a machine
/// that opens many connections.
const MAX_PORT_ATTEMPTS: usize = 5;

/// The backends of a killed server end when they notice, within seconds unless they are busy.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(15);

/// What `postmaster.pid` says about a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFile {
    pub pid: u32,
    /// The fourth line, which the server writes a little after the first.
    pub port: Option<u16>,
}

impl ServerFile {
    pub(super) fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // A server in single-user mode writes its id negated.
        let pid = lines
            .next()?
            .trim()
            .trim_start_matches('-')
            .parse()
            .ok()
            .filter(|pid| *pid > 0)?;
        let port = lines
            .nth(2)
            .and_then(|line| line.trim().parse().ok())
            .filter(|port| *port > 0);
        Some(Self { pid, port })
    }
}

/// The settings that differ from one start to the next.
#[derive(Debug)]
pub(super) struct Setup {
    pub port: u16,
    pub durability: Durability,
    pub socket_directory: Option<PathBuf>,
}

impl Setup {
    fn text(&self) -> String {
        let sockets = self
            .socket_directory
            .as_ref()
            .map(|path| path.to_string_lossy().replace('\'', "''"))
            .unwrap_or_default();
        let durable = match self.durability {
            Durability::Durable => "on",
            Durability::Test | Durability::Volatile => "off",
        };
        // In memory, what is kept for recovery only takes room.
        let max_wal_size = match self.durability {
            Durability::Durable | Durability::Test => "2GB",
            Durability::Volatile => "128MB",
        };
        format!(
            "# Rewritten at every start.\n\
             listen_addresses = '127.0.0.1'\n\
             port = {}\n\
             unix_socket_directories = '{sockets}'\n\
             max_connections = {MAX_CONNECTIONS}\n\
             shared_buffers = '256MB'\n\
             max_wal_size = '{max_wal_size}'\n\
             idle_in_transaction_session_timeout = '10s'\n\
             fsync = {durable}\n\
             synchronous_commit = {durable}\n\
             full_page_writes = {durable}\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n\
             log_checkpoints = off\n",
            self.port
        )
    }

    pub(super) fn write_settings(&self, data: &Path, account: Option<Account>) -> Result<()> {
        let path = data.join("turnpike.conf");
        std::fs::write(&path, self.text())
            .with_context(|| format!("cannot write {}", path.display()))?;
        account.map_or(Ok(()), |account| account.own(&path))
    }
}

/// Where the server may put its socket, if the path is short enough for one.
pub(super) fn socket_directory(directory: &Path) -> Option<PathBuf> {
    let longest = directory.join(".s.PGSQL.65535.lock");
    (longest.as_os_str().len() < SOCKET_PATH_MAX_BYTES).then(|| directory.to_owned())
}

/// Runs `initdb`. The data directory appears under its name only when it is complete.
pub(super) async fn create(
    binaries: &Binaries,
    directory: &Path,
    account: Option<Account>,
    durability: Durability,
) -> Result<()> {
    let partial = directory.join("data.partial");
    let mut failure = String::new();
    // C.UTF-8 sorts the same everywhere and knows letters; not every system has it.
    for locale in ["C.UTF-8", "C"] {
        if partial.exists() {
            std::fs::remove_dir_all(&partial)
                .with_context(|| format!("cannot remove {}", partial.display()))?;
        }
        let mut command = account::command(&binaries.initdb, account);
        command
            .arg("--pgdata")
            .arg(&partial)
            .arg("--pwfile")
            .arg(directory.join("password"))
            .args([
                "--username",
                SUPERUSER,
                "--encoding=UTF8",
                "--auth-local=scram-sha-256",
                "--auth-host=scram-sha-256",
            ])
            .arg(format!("--locale={locale}"));
        if durability != Durability::Durable {
            command.arg("--no-sync");
        }
        let output = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot run {}", binaries.initdb.display()))?;
        if output.status.success() {
            let path = partial.join("postgresql.conf");
            let settings = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            std::fs::write(&path, settings + "\ninclude_if_exists = 'turnpike.conf'\n")
                .with_context(|| format!("cannot write {}", path.display()))?;
            return std::fs::rename(&partial, directory.join("data"))
                .with_context(|| format!("cannot rename {}", partial.display()));
        }
        failure = String::from_utf8_lossy(&output.stderr).into_owned();
        if !failure.contains("locale") {
            break;
        }
    }
    bail!(
        "initdb could not create a Postgres cluster in {}:\n{}",
        directory.display(),
        tail(&failure)
    )
}

/// Starts the server and waits until `is_ready` says so of its port, which it returns.
pub(super) async fn launch(
    binaries: &Binaries,
    directory: &Path,
    account: Option<Account>,
    setup: impl Fn(u16) -> Setup,
    is_ready: impl AsyncFn(u16) -> Result<bool>,
) -> Result<u16> {
    let data = directory.join("data");
    let port_file = directory.join("port");
    let mut wanted = std::fs::read_to_string(&port_file)
        .ok()
        .and_then(|text| parse_port(&text));
    let began = Instant::now();
    let mut port_attempts = 0;
    loop {
        let port = choose_port(wanted)?;
        setup(port).write_settings(&data, account)?;
        let mut log = open_log(directory)?;
        let log_start = log
            .seek(SeekFrom::End(0))
            .context("cannot read the server's log")?;
        let ended = spawn(binaries, &data, account, &log)?;

        let status = loop {
            if let Some(status) = ended.get() {
                break *status;
            }
            // Until the file names this port, whoever answers there is another program.
            if ServerFile::read(&data).is_some_and(|file| file.port == Some(port))
                && is_ready(port).await?
            {
                std::fs::write(&port_file, port.to_string())
                    .with_context(|| format!("cannot write {}", port_file.display()))?;
                return Ok(port);
            }
            ensure!(
                began.elapsed() < START_PATIENCE,
                "the private Postgres did not get ready in {} s. Its log, {}, ends:\n{}",
                START_PATIENCE.as_secs(),
                directory.join("server.log").display(),
                log_tail(&mut log, log_start)
            );
            sleep(POLL_INTERVAL).await;
        };

        let text = log_tail(&mut log, log_start);
        if text.contains("Address already in use") && port_attempts < MAX_PORT_ATTEMPTS {
            port_attempts += 1;
            wanted = None;
        } else if (text.contains("pre-existing shared memory block")
            || text.contains("\"postmaster.pid\" already exists"))
            && began.elapsed() < ORPHAN_PATIENCE
        {
            sleep(10 * POLL_INTERVAL).await;
        } else {
            let how = status.map_or_else(|| "ended".to_owned(), |status| status.to_string());
            bail!(
                "the private Postgres did not start ({how}). Its log, {}, ends:\n{text}",
                directory.join("server.log").display()
            );
        }
    }
}

/// Starts the server process; the cell is filled when it ends.
fn spawn(
    binaries: &Binaries,
    data: &Path,
    account: Option<Account>,
    log: &File,
) -> Result<Arc<OnceLock<Option<ExitStatus>>>> {
    let output = || {
        log.try_clone()
            .context("cannot duplicate the server's log file")
    };
    let mut child = account::command(&binaries.postgres, account)
        .arg("-D")
        .arg(data)
        .stdout(output()?)
        .stderr(output()?)
        // Ctrl-C in our terminal is for us: the server outlives us when others use it.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {}", binaries.postgres.display()))?;
    let ended = Arc::new(OnceLock::new());
    let cell = Arc::clone(&ended);
    std::thread::Builder::new()
        .name("postgres-reaper".into())
        .spawn(move || cell.set(child.wait().ok()))
        .context("cannot start the thread that waits for Postgres")?;
    Ok(ended)
}

/// The wanted port if it is free, or any free one.
fn choose_port(wanted: Option<u16>) -> Result<u16> {
    if let Some(port) = wanted
        && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    {
        return Ok(port);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("no free port on 127.0.0.1 for Postgres")?;
    Ok(listener
        .local_addr()
        .context("no free port on 127.0.0.1 for Postgres")?
        .port())
}

fn parse_port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port >= 1024)
}

fn open_log(directory: &Path) -> Result<File> {
    let path = directory.join("server.log");
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_MAX_BYTES) {
        std::fs::rename(&path, directory.join("server.log.old"))
            .with_context(|| format!("cannot set {} aside", path.display()))?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn log_tail(log: &mut File, start: u64) -> String {
    let end = log.seek(SeekFrom::End(0)).unwrap_or(start);
    let from = start.max(end.saturating_sub(LOG_TAIL_MAX_BYTES));
    let mut bytes = Vec::new();
    if log
        .seek(SeekFrom::Start(from))
        .and_then(|_| log.read_to_end(&mut bytes))
        .is_err()
    {
        return "(the log cannot be read)".into();
    }
    tail(&String::from_utf8_lossy(&bytes))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_files() {
        let whole = "4711\n/srv/data\n1700000000\n5433\n/srv\n127.0.0.1\n  5432001   0\nready   \n";
        for (text, expected) in [
            (whole, Some((4711, Some(5433)))),
            ("4711\n", Some((4711, None))),
            ("4711\n/srv/data\n1700000000\n", Some((4711, None))),
            ("4711\n/srv/data\n1700000000\n0\n", Some((4711, None))),
            ("-12\n/srv/data\n1\n5432\n", Some((12, Some(5432)))),
            ("0\n", None),
            ("", None),
            ("\n\n", None),
            ("garbage\n", None),
            ("99999999999999999999\n", None),
        ] {
            let expected = expected.map(|(pid, port)| ServerFile { pid, port });
            assert_eq!(
                ServerFile::parse(text),
                expected,
                "misread postmaster.pid {text:?}"
            );
        }
    }

    #[test]
    fn port_files() {
        for (text, expected) in [
            ("54321\n", Some(54321)),
            (" 1024 ", Some(1024)),
            ("80", None),
            ("0", None),
            ("65536", None),
            ("-1", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(parse_port(text), expected, "misread port file {text:?}");
        }
    }

    #[test]
    fn a_busy_port_is_replaced() {
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = busy.local_addr().expect("the listener has a port").port();
        assert_ne!(
            choose_port(Some(port)).expect("another port is free"),
            port,
            "a busy port must not be chosen"
        );
    }

    /// Asks for ports nobody here has listened on. A port that this process has just let go of may stay
    /// busy for a moment: a test beside this one that starts a program has it in the forked child until
    /// `exec` closes it.
    #[test]
    fn a_free_port_is_kept() {
        let kept = (20_000..30_000)
            .find(|port| choose_port(Some(*port)).expect("one port or another is free") == *port);
        assert!(
            kept.is_some(),
            "no remembered port of 20000 to 29999 was kept; they can't all be busy"
        );
    }

    #[test]
    fn socket_directories() {
        let long = format!("/{}", "d".repeat(SOCKET_PATH_MAX_BYTES));
        for (path, usable) in [("/srv/turnpike", true), (long.as_str(), false)] {
            assert_eq!(
                socket_directory(Path::new(path)).is_some(),
                usable,
                "socket in {path}"
            );
        }
    }

    #[test]
    fn settings_quote_paths_and_follow_durability() {
        let setup = |durability| {
            Setup {
                port: 5544,
                durability,
                socket_directory: Some("/it's/here".into()),
            }
            .text()
        };
        let durable = setup(Durability::Durable);
        for line in [
            "port = 5544",
            "unix_socket_directories = '/it''s/here'",
            "fsync = on",
            "listen_addresses = '127.0.0.1'",
        ] {
            assert!(
                durable.lines().any(|found| found == line),
                "the settings need {line:?}:\n{durable}"
            );
        }
        let test = setup(Durability::Test);
        for line in [
            "fsync = off",
            "synchronous_commit = off",
            "full_page_writes = off",
        ] {
            assert!(
                test.lines().any(|found| found == line),
                "the settings for tests need {line:?}:\n{test}"
            );
        }
    }
}
