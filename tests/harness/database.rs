//! One database for each test, cloned from a template that was migrated once.
//!
//! Every process of tests has a number, and holds an advisory lock on it for as long as it
//! lives. Whatever carries a number that nobody holds was left behind by a process that was
//! killed, and is dropped.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::statvfs;
use sha2::{Digest as _, Sha256};
use shared::store::timeouts::SESSION_TIMEOUTS;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::Client;
use turnpike_host::migrations;
use turnpike_host::postgres_cluster::{Cluster, Durability, connect};

/// The advisory locks of test processes: the letters `test`.
const LOCK_CLASS: i32 = i32::from_be_bytes(*b"test");

/// Where files live in memory on Linux.
const MEMORY: &str = "/dev/shm";

/// The room that the tests need at most: some 300 MiB of tables, and as much again of what is
/// written before them, times three for whoever else uses it.
const MEMORY_NEEDED_BYTES: u64 = 2 << 30;

/// How many numbers are tried when others are taken, as by a process with the same id in
/// another container.
const NUMBERS_TRIED: i32 = 1_000;

/// Clones that wait to be taken, beside the one that is made next: a test finds one, and its
/// successor is made while it runs.
const READY: usize = 1;

/// Databases for tests, made ahead.
pub struct Databases {
    ready: Mutex<mpsc::Receiver<Result<TestDatabase>>>,
}

/// The server, and the right to create databases on it.
struct Cloner {
    maintenance: Arc<Client>,
    maintenance_url: String,
    server: Server,
    number: i32,
    /// How databases are copied, as `CREATE DATABASE` is told.
    strategy: &'static str,
}

enum Server {
    /// Started for the tests. Kept, because dropping it stops it.
    Private(Cluster),
    /// Given by DATABASE_URL.
    Given(String),
}

/// A test's own database.
pub struct TestDatabase {
    /// Its address, with the password.
    pub url: String,
    name: String,
    maintenance: Arc<Client>,
}

impl Server {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Private(cluster) => cluster.url(database),
            Self::Given(url) => with_database(url, database),
        }
    }
}

/// A cluster for the tests of the project in `root`: in memory if there is room, and in its
/// `.turnpike/test-postgres` otherwise. Every test has a database of its own, and to make and to
/// drop the seven hundred files of one takes several times as long on a disk.
async fn start_cluster(root: &Path) -> Result<Cluster> {
    let free = statvfs(MEMORY).map_or(0, |found| found.f_bavail * found.f_frsize);
    if free >= MEMORY_NEEDED_BYTES {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let name: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let directory = Path::new(MEMORY).join(format!("turnpike-tests-{name}"));
        return Cluster::start(&directory, Durability::Volatile).await;
    }
    let directory = root.join(".turnpike").join("test-postgres");
    Cluster::start(&directory, Durability::Test).await
}

/// `url` with another database in it.
fn with_database(url: &str, database: &str) -> String {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    let authority_start = address.find("://").map_or(0, |at| at + 3);
    let authority_end = address[authority_start..]
        .find('/')
        .map_or(address.len(), |at| authority_start + at);
    format!("{}/{database}{query}", &address[..authority_end])
}

impl Databases {
    /// Starts the server unless DATABASE_URL names one, migrates the template, and begins to clone it.
    /// What was cloned for nobody is dropped by the next process of tests.
    ///
    /// # Errors
    /// When there is no server, the user may not create databases, or a migration fails.
    pub async fn prepare(root: &Path) -> Result<Self> {
        let (server, maintenance_url) = match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => (Server::Given(url.clone()), url),
            _ => {
                let cluster = start_cluster(root).await?;
                let url = cluster.url("postgres");
                (Server::Private(cluster), url)
            }
        };
        let maintenance = connect(&maintenance_url).await?;
        maintenance
            .batch_execute("SET client_min_messages = warning")
            .await?;
        let number = claim_number(&maintenance).await?;
        let strategy = match server {
            // Where nothing waits for the disk, to copy files takes less than to copy pages.
            Server::Private(_) if knows_strategies(&maintenance).await? => "STRATEGY FILE_COPY",
            _ => "",
        };
        drop_leftovers(&maintenance, number).await?;

        let cloner = Cloner {
            maintenance: Arc::new(maintenance),
            maintenance_url,
            server,
            number,
            strategy,
        };
        let template = cloner.template();
        cloner
            .maintenance
            .batch_execute(&format!("CREATE DATABASE {template}"))
            .await
            .context("the tests need a Postgres user who may create databases")?;
        migrations::migrate(&cloner.server.url(&template), root).await?;
        let (sender, ready) = mpsc::channel(READY);
        tokio::spawn(async move {
            let mut count = 0;
            while sender.send(cloner.create(count).await).await.is_ok() {
                count += 1;
            }
        });
        Ok(Self {
            ready: Mutex::new(ready),
        })
    }

    /// A migrated, empty database.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create(&self) -> Result<TestDatabase> {
        let made = self.ready.lock().await.recv().await;
        made.context("nobody makes databases any more")?
    }
}

impl Cloner {
    fn template(&self) -> String {
        format!("turnpike_template_{}", self.number)
    }

    async fn create(&self, count: u64) -> Result<TestDatabase> {
        let name = format!("turnpike_test_{}_{count}", self.number);
        // On a connection of its own: a session remembers each file that it ever copied, so that
        // its hundredth clone takes 370 ms where the first one takes 60.
        connect(&self.maintenance_url)
            .await?
            .batch_execute(&format!(
                "CREATE DATABASE {name} TEMPLATE {} {}",
                self.template(),
                self.strategy
            ))
            .await
            .with_context(|| format!("cannot create the database {name}"))?;
        // What a role has in a database does not come with the clone.
        self.maintenance
            .batch_execute(&migrations::role_timeouts(&name))
            .await
            .with_context(|| format!("cannot set the timeouts of the database {name}"))?;
        Ok(TestDatabase {
            url: self.server.url(&name),
            name,
            maintenance: Arc::clone(&self.maintenance),
        })
    }
}

impl TestDatabase {
    /// Drops the database, whoever is connected to it.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn remove(self) -> Result<()> {
        self.maintenance
            .batch_execute(&format!(
                "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                self.name
            ))
            .await
            .with_context(|| format!("cannot drop the database {}", self.name))
    }
}

/// Connects beside the components, without the timeouts that they have: tests and benchmarks hold
/// rows until somebody waits for them, and write more in one statement than any request.
///
/// # Errors
/// When the server refuses.
pub async fn connect_without_timeouts(url: &str) -> Result<Client> {
    let client = connect(url).await?;
    client.batch_execute(&timeouts_off()).await?;
    Ok(client)
}

/// The statements that free a session from the timeouts of its role.
pub(crate) fn timeouts_off() -> String {
    SESSION_TIMEOUTS
        .map(|(name, _)| format!("SET {name} = 0"))
        .join("; ")
}

/// Whether `CREATE DATABASE` can be told how to copy, as it can since version 15.
async fn knows_strategies(maintenance: &Client) -> Result<bool> {
    let sql = "SELECT current_setting('server_version_num')::integer >= 150000";
    Ok(maintenance.query_one(sql, &[]).await?.try_get(0)?)
}

/// This process's number: its id, or the next one that is free.
async fn claim_number(maintenance: &Client) -> Result<i32> {
    let first = i32::try_from(std::process::id()).unwrap_or(1);
    for number in first..first.saturating_add(NUMBERS_TRIED) {
        if try_lock(maintenance, number).await? {
            return Ok(number);
        }
    }
    anyhow::bail!("{NUMBERS_TRIED} test processes use this server: end some of them")
}

async fn try_lock(maintenance: &Client, number: i32) -> Result<bool> {
    let row = maintenance
        .query_one(
            "SELECT pg_try_advisory_lock($1, $2)",
            &[&LOCK_CLASS, &number],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn drop_leftovers(maintenance: &Client, own_number: i32) -> Result<()> {
    let rows = maintenance
        .query(
            "SELECT datname::text, (regexp_match(datname, '[0-9]+'))[1]::text FROM pg_database
              WHERE datname ~ '^turnpike_(template_[0-9]+|test_[0-9]+_[0-9]+)$'",
            &[],
        )
        .await?;
    for row in rows {
        let (name, digits): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let Ok(number) = digits.parse::<i32>() else {
            continue;
        };
        let is_free = number == own_number || try_lock(maintenance, number).await?;
        if !is_free {
            continue;
        }
        maintenance
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await
            .with_context(|| format!("cannot drop {name}, which an earlier run left behind"))?;
        if number != own_number {
            let unlocked = maintenance
                .query_one("SELECT pg_advisory_unlock($1, $2)", &[&LOCK_CLASS, &number])
                .await?;
            ensure!(
                unlocked.try_get::<_, bool>(0)?,
                "the lock on the leftovers of process {number} was lost"
            );
        }
    }
    Ok(())
}
