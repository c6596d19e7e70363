//! The database that a command works on: one of the user's own, or the private one.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::audit_log::{self, ChainEnd, Verification};
use crate::cli::seed::{self, Demo};
use crate::migrations::{self, Report};
use crate::postgres_cluster::{self, Cluster, Durability};
use anyhow::{Context, Result, bail};
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::config::Host;

use super::Project;
use super::arguments::DatabaseArguments;

/// The database that Turnpike uses in its private cluster.
const DATABASE_NAME: &str = "turnpike";

/// How long a command that asks a database something waits for its connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Database {
    url: String,
    private: Option<Cluster>,
}

impl Database {
    /// Uses the given database, or starts the private cluster.
    pub async fn open(project: &Project, arguments: DatabaseArguments) -> Result<Self> {
        if let Some(url) = arguments.database_url.filter(|url| !url.is_empty()) {
            return Ok(Self { url, private: None });
        }
        let cluster =
            Cluster::start(&project.state().join("postgres"), Durability::Durable).await?;
        cluster.ensure_database(DATABASE_NAME).await?;
        Ok(Self {
            url: cluster.url(DATABASE_NAME),
            private: Some(cluster),
        })
    }

    /// A session of its own, within [`CONNECT_TIMEOUT`].
    pub async fn client(&self) -> Result<Client> {
        let connected = timeout(CONNECT_TIMEOUT, postgres_cluster::connect(&self.url)).await;
        connected.unwrap_or_else(|_| {
            bail!(
                "Postgres at {} did not answer for {} s",
                self.description(),
                CONNECT_TIMEOUT.as_secs()
            )
        })
    }

    pub async fn migrate(&self, project: &Project) -> Result<Report> {
        migrations::migrate(&self.url, project.root()).await
    }

    /// Migrates, and drops the functions of earlier releases.
    pub async fn migrate_and_prune(&self, project: &Project) -> Result<Report> {
        migrations::migrate_and_prune(&self.url, project.root()).await
    }

    pub async fn load_demo(&self) -> Result<Demo> {
        let client = postgres_cluster::connect(&self.url).await?;
        seed::load_demo(&client)
            .await
            .context("cannot load the demo tenant")
    }

    pub async fn verify_audit_log(&self, ends: &[ChainEnd]) -> Result<Verification> {
        let client = postgres_cluster::connect(&self.url).await?;
        audit_log::verify(&client, ends).await
    }

    pub async fn audit_log_ends(&self) -> Result<Vec<ChainEnd>> {
        let client = postgres_cluster::connect(&self.url).await?;
        audit_log::ends(&client).await
    }

    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The cluster's directory, if it is the private one.
    pub fn directory(&self) -> Option<PathBuf> {
        self.private
            .as_ref()
            .map(|cluster| cluster.directory().to_owned())
    }

    /// Host, port and name, without the password.
    pub fn description(&self) -> String {
        postgres_cluster::describe(&self.url)
    }

    /// The variables through which the components find the database.
    pub fn variables(&self) -> Result<[(String, String); 3]> {
        let (host, port) = host_and_port(&self.url)?;
        Ok([
            ("db_url".into(), self.url.clone()),
            ("db_host".into(), host),
            ("db_port".into(), port.to_string()),
        ])
    }

    /// Ends the use of the database; a private cluster that nobody else uses stops.
    pub async fn close(self) -> Result<()> {
        match self.private {
            Some(cluster) => cluster.stop().await,
            None => Ok(()),
        }
    }
}

fn host_and_port(url: &str) -> Result<(String, u16)> {
    let config: tokio_postgres::Config = url.parse().context(
        "DATABASE_URL cannot be read: write postgres://user:password@host:port/database",
    )?;
    let host = match config.get_hosts() {
        [Host::Tcp(host)] => host.clone(),
        [] => {
            bail!("DATABASE_URL names no host: write postgres://user:password@host:port/database")
        }
        [_] => bail!(
            "DATABASE_URL names a Unix socket, which components cannot reach: give the server's TCP address"
        ),
        _ => bail!("DATABASE_URL names several hosts: a component may connect to one, so give one"),
    };
    Ok((host, config.get_ports().first().copied().unwrap_or(5432)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (url, expected) in [
            (
                "postgres://me:secret@db.example:6000/shop",
                Ok(("db.example", 6000)),
            ),
            (
                "postgres://me:secret@127.0.0.1/shop",
                Ok(("127.0.0.1", 5432)),
            ),
            ("postgres://me:secret@a,b/shop", Err("several hosts")),
            ("postgres:///shop", Err("no host")),
            ("postgres://%2Fvar%2Frun/shop", Err("Unix socket")),
            ("postgres://me:secret@host:port/shop", Err("cannot be read")),
        ] {
            match (host_and_port(url), expected) {
                (Ok((host, port)), Ok(expected)) => {
                    assert_eq!((host.as_str(), port), expected, "read from {url}")
                }
                (Err(error), Err(part)) => {
                    let text = format!("{error:#}");
                    assert!(
                        text.contains(part) && !text.contains("secret"),
                        "say {part:?}, and no password, for {url}: {text}"
                    );
                }
                (found, expected) => panic!("{url} gave {found:?}, not {expected:?}"),
            }
        }
    }
}
