//! A private Postgres server in a directory of its own.
//!
//! Several processes may use one cluster at once: whoever comes first starts the server, the
//! others adopt it, and it stops when the last of them has ended, by whatever means. Settings,
//! port, password and log all live in the cluster directory:
//!
//! ```text
//! data/        the database files          server.log   what the server says
//! password     of the superuser, 0600      port         the port to try first
//! users/       who uses the server         stopping/    watchdogs at work
//! lock         held while starting
//! ```

mod account;
mod binaries;
mod process;
mod server;
mod users;

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls};

use account::Account;
use server::{ServerFile, Setup};
use users::Registration;

use crate::postgres_tls::RustlsConnector;

pub use binaries::OLDEST_MAJOR_VERSION;

/// The superuser of a private cluster.
pub const SUPERUSER: &str = "turnpike";

/// How long a caller waits while another process creates or starts the same cluster: `initdb`
/// takes up to 10 s on a slow disk and crash recovery up to 60 s.
const LOCK_PATIENCE: Duration = Duration::from_secs(90);

/// How long a server may take to answer: replaying `max_wal_size` (2 GB) at 50 MB/s is 40 s.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long an existing server may stay silent before it is told to continue, in case whoever
/// suspended it has ended.
const SILENCE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a server may take for each step of its end: in order, at once, by force.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A loopback connection to a healthy server takes milliseconds; a suspended one never answers.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

const POLL_INTERVAL: Duration = Duration::from_millis(15);

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Nothing that was committed.
    #[default]
    Durable,
    /// Everything: nothing waits for the disk. A crash of the server alone still loses nothing
    /// that was written, but the last commits may be missing. For tests.
    Test,
    /// As [`Durability::Test`], and the data is removed when the last user has ended. For tests in
    /// a directory that lives in memory.
    Volatile,
}

/// A running private server, and the right to use it. Dropping the value gives that right up,
/// and the last user's end stops the server; [`Cluster::stop`] also waits for it.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    account: Option<Account>,
    password: String,
    durability: Durability,
    port: Mutex<u16>,
    registration: Registration,
}

impl Cluster {
    /// Creates the cluster if need be, and starts its server or adopts one that runs.
    ///
    /// As root, the server runs as user `postgres` or `nobody`, and if that user cannot reach
    /// `directory` the cluster lives under the system's temporary directory instead.
    ///
    /// # Errors
    ///
    /// When no Postgres server is installed, the directory cannot be written, or the server does
    /// not start; the message says what to do, with the last lines of the server's log.
    pub async fn start(directory: &Path, durability: Durability) -> Result<Self> {
        let (directory, account) = account::prepare_directory(directory)?;
        let _lock = lock(&directory).await?;
        let registration = Registration::new(&directory, durability)?;
        users::remove_stale(&directory);
        users::wait_for_watchdogs(&directory).await?;

        let password = password(&directory, account)?;
        let mut cluster = Self {
            directory,
            account,
            password,
            durability,
            port: Mutex::new(0),
            registration,
        };
        let port = match cluster.adopt().await? {
            Some(port) => port,
            None => cluster.launch().await?,
        };
        *cluster
            .port
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = port;
        Ok(cluster)
    }

    /// The address of a database of this cluster, `postgres://user:password@127.0.0.1:port/name`.
    /// A [`Cluster::restart`] may change the port.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}",
            self.password,
            self.port()
        )
    }

    /// The TCP port of the server on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        *self
            .port
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Where the cluster really is, which as root may not be where it was asked for.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process id of the running server, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running().map(|file| file.pid)
    }

    /// Creates a database unless it exists.
    ///
    /// # Errors
    ///
    /// When the name is not a plain lower-case identifier, or the server cannot be reached.
    pub async fn ensure_database(&self, name: &str) -> Result<()> {
        let plain = name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        ensure!(
            plain,
            "{name:?} is no database name: use a-z, 0-9 and _, at most 63, not starting with a digit"
        );
        let client = connect(&self.url("postgres")).await?;
        if client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
            .await?
            .is_some()
        {
            return Ok(());
        }
        match client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
        {
            // Somebody else created it in between.
            Err(error)
                if [
                    Some(&SqlState::DUPLICATE_DATABASE),
                    Some(&SqlState::UNIQUE_VIOLATION),
                ]
                .contains(&error.code()) =>
            {
                Ok(())
            }
            result => result.with_context(|| format!("cannot create database {name}")),
        }
    }

    /// Ends this use. If it was the last, stops the server and waits for that.
    ///
    /// # Errors
    ///
    /// When the watchdog cannot be waited for.
    pub async fn stop(self) -> Result<()> {
        self.registration.end().await
    }

    /// Stops the server, whoever uses it, and starts it again, also after a [`Cluster::crash`].
    ///
    /// # Errors
    ///
    /// As [`Cluster::start`].
    pub async fn restart(&self) -> Result<()> {
        let _lock = lock(&self.directory).await?;
        self.halt().await?;
        let port = self.launch().await?;
        *self
            .port
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = port;
        Ok(())
    }

    /// Kills the server as a power cut would, and waits until all its processes are gone. For
    /// tests.
    ///
    /// # Errors
    ///
    /// When a process survives even being killed.
    pub async fn crash(&self) -> Result<()> {
        let Some(file) = self.running() else {
            return Ok(());
        };
        let children = process::children(file.pid);
        process::signal(file.pid, Signal::KILL);
        // They notice by themselves, but one that is suspended or busy would take its time.
        children
            .iter()
            .for_each(|pid| process::signal(*pid, Signal::KILL));
        let all: Vec<u32> = std::iter::once(file.pid).chain(children).collect();
        ensure!(
            wait_until_gone(&all).await,
            "the killed Postgres {} did not end",
            file.pid
        );
        Ok(())
    }

    /// Freezes the server and all its backends: connections stay open and nothing answers. For
    /// tests.
    pub fn suspend(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets a suspended server continue.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Every backend leads a process group of its own, so there is no group to signal.
    fn signal_all(&self, signal: Signal) {
        if let Some(file) = self.running() {
            // The postmaster comes first: stopped, it cannot fork a child that the list lacks.
            process::signal(file.pid, signal);
            process::children(file.pid)
                .into_iter()
                .for_each(|pid| process::signal(pid, signal));
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The pid file, if it names a live server of this very data directory.
    fn running(&self) -> Option<ServerFile> {
        let file = ServerFile::read(&self.data())?;
        let ours = process::is_alive(file.pid)
            && process::arguments(file.pid)
                .is_some_and(|text| text.contains(&*self.data().to_string_lossy()));
        ours.then_some(file)
    }

    /// Takes over a server that runs already; returns its port.
    async fn adopt(&self) -> Result<Option<u16>> {
        let began = Instant::now();
        let mut nudged = false;
        loop {
            let Some(file) = self.running() else {
                self.remove_stale_server_file()?;
                return Ok(None);
            };
            let answer = match file.port {
                Some(port) => self.probe(port).await,
                None => Answer::NotReady("it has not opened its port".into()),
            };
            match (answer, file.port) {
                (Answer::Ready { fsync }, Some(port)) => {
                    if self.durability == Durability::Durable && !fsync {
                        self.make_durable(port).await?;
                    }
                    return Ok(Some(port));
                }
                (Answer::Stranger(reason), _) => bail!(
                    "the Postgres server {} of {} cannot be used: {reason}. Stop it, or delete that directory",
                    file.pid,
                    self.directory.display()
                ),
                (Answer::NotReady(reason), _) if began.elapsed() > START_PATIENCE => bail!(
                    "the Postgres server {} of {} does not answer: {reason}. Stop it with `kill -QUIT {}` and try again",
                    file.pid,
                    self.directory.display(),
                    file.pid
                ),
                _ => {}
            }
            if !nudged && began.elapsed() > SILENCE_PATIENCE {
                nudged = true;
                self.resume();
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The server's own check would take a reused process id for a running server.
    fn remove_stale_server_file(&self) -> Result<()> {
        let path = self.data().join("postmaster.pid");
        if path.exists() {
            note(format_args!(
                "the last server did not stop in order; removing its {}",
                path.display()
            ));
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    /// A server that was started for tests, and that now gets a user who wants to keep the data.
    async fn make_durable(&self, port: u16) -> Result<()> {
        self.setup(port)
            .write_settings(&self.data(), self.account)?;
        let client = connect(&self.url_at(port, "postgres")).await?;
        client
            .batch_execute("SELECT pg_reload_conf(); CHECKPOINT")
            .await
            .context("cannot make the private Postgres durable")
    }

    async fn launch(&self) -> Result<u16> {
        let data = self.data();
        let binaries = binaries::find(binaries::data_version(&data)?).await?;
        if !data.exists() {
            server::create(&binaries, &self.directory, self.account, self.durability).await?;
        }
        self.remove_stale_server_file()?;
        server::launch(
            &binaries,
            &self.directory,
            self.account,
            |port| self.setup(port),
            async |port| match self.probe(port).await {
                Answer::Ready { .. } => Ok(true),
                Answer::NotReady(_) => Ok(false),
                Answer::Stranger(reason) => bail!("the private Postgres cannot be used: {reason}"),
            },
        )
        .await
    }

    fn setup(&self, port: u16) -> Setup {
        Setup {
            port,
            durability: self.durability,
            socket_directory: server::socket_directory(&self.directory),
        }
    }

    fn url_at(&self, port: u16, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{port}/{database}",
            self.password
        )
    }

    async fn halt(&self) -> Result<()> {
        for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
            let Some(file) = self.running() else {
                return Ok(());
            };
            let mut all = process::children(file.pid);
            all.insert(0, file.pid);
            if signal == Signal::KILL {
                all.iter().for_each(|pid| process::signal(*pid, signal));
            } else {
                process::signal(file.pid, signal);
                self.resume();
            }
            if wait_until_gone(&all).await {
                return Ok(());
            }
        }
        bail!(
            "the private Postgres in {} does not stop",
            self.directory.display()
        )
    }

    /// Connects for real: a pid file and an open port prove nothing.
    async fn probe(&self, port: u16) -> Answer {
        let attempt = async {
            let client = connect_plain(&self.url_at(port, "postgres")).await?;
            client
                .query_one(
                    "SELECT current_setting('data_directory'), current_setting('fsync')",
                    &[],
                )
                .await
        };
        match tokio::time::timeout(PROBE_TIMEOUT, attempt).await {
            Err(_) => Answer::NotReady("it accepts connections but says nothing".into()),
            Ok(Err(error))
                if [
                    Some(&SqlState::INVALID_PASSWORD),
                    Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION),
                ]
                .contains(&error.code()) =>
            {
                Answer::Stranger("it refuses the password kept beside its data".into())
            }
            Ok(Err(error)) => Answer::NotReady(error.to_string()),
            Ok(Ok(row)) => match (row.try_get::<_, &str>(0), row.try_get::<_, &str>(1)) {
                (Ok(directory), Ok(fsync)) if Path::new(directory) == self.data() => {
                    Answer::Ready {
                        fsync: fsync == "on",
                    }
                }
                _ => Answer::Stranger(format!("another server listens on port {port}")),
            },
        }
    }
}

enum Answer {
    Ready { fsync: bool },
    NotReady(String),
    Stranger(String),
}

/// Connects to a Postgres at `url`, and drives the connection in the background. With TLS if
/// `sslmode` asks for it; the server's name and certificate are verified then.
///
/// # Errors
///
/// When the URL cannot be read or the server refuses; the message never holds the password.
pub async fn connect(url: &str) -> Result<Client> {
    let attempt = async {
        let config = read_config(url)?;
        if config.get_ssl_mode() != SslMode::Require {
            return Ok(connect_plain(url).await?);
        }
        let (client, connection) = config.connect(RustlsConnector::new(None)?).await?;
        drive(connection);
        anyhow::Ok(client)
    };
    attempt
        .await
        .with_context(|| format!("cannot connect to Postgres at {}", describe(url)))
}

async fn connect_plain(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    drive(connection);
    Ok(client)
}

fn drive<S, T>(connection: Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsStream + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // The client reports the same failure to whoever waits for an answer.
        if let Err(error) = connection.await {
            tracing::debug!("a Postgres connection ended: {error}");
        }
    });
}

/// Reads a connection string. The driver knows fewer modes than libpq; with ours, `require`
/// verifies whatever the stricter ones would.
fn read_config(url: &str) -> Result<Config, tokio_postgres::Error> {
    url.replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require")
        .parse()
}

/// Host, port and database of a connection string, without its password.
#[must_use]
pub fn describe(url: &str) -> String {
    let Ok(config) = read_config(url) else {
        return "an address that cannot be read".into();
    };
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => "localhost".into(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

async fn wait_until_gone(pids: &[u32]) -> bool {
    let deadline = Instant::now() + STOP_PATIENCE;
    while pids.iter().any(|pid| process::is_alive(*pid)) {
        if Instant::now() > deadline {
            return false;
        }
        sleep(POLL_INTERVAL).await;
    }
    true
}

/// Excludes other processes while one decides whether to start the server. The lock ends with
/// the returned file.
async fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(POLL_INTERVAL).await
            }
            Err(TryLockError::WouldBlock) => bail!(
                "another process has been starting the Postgres cluster in {} for {} s: end it and try again",
                directory.display(),
                LOCK_PATIENCE.as_secs()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
    }
}

/// The superuser's password: 256 random bits, made once.
fn password(directory: &Path, account: Option<Account>) -> Result<String> {
    let path = directory.join("password");
    if path.exists() {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let text = text.trim();
        if !text.is_empty() {
            return Ok(text.to_owned());
        }
        ensure!(
            !directory.join("data").exists(),
            "{} is empty: delete {} to start afresh",
            path.display(),
            directory.display()
        );
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    ensure!(
        !directory.join("data").exists(),
        "the password of the Postgres cluster in {} is missing: put the file `password` back, or delete that directory",
        directory.display()
    );
    let mut random = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("cannot read random bytes from /dev/urandom")?;
    let password = hex(&random);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(password.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(account) = account {
        account.own(&path)?;
    }
    Ok(password)
}

/// Tells the reader of our output what was not as expected.
fn note(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "postgres: {text}");
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::ScratchDirectory;
