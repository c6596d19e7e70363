//! A Redis server of a test's or benchmark's own, without persistence.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// How long redis-server may take to open its port.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It is killed when this is dropped.
pub struct RedisServer {
    process: tokio::process::Child,
    port: u16,
}

impl RedisServer {
    /// Whether the program is installed.
    pub fn is_installed() -> bool {
        let version = Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    }

    /// Starts one, if the program is installed; says so otherwise, and fails where every test must
    /// run.
    ///
    /// # Panics
    /// It is not installed and this is CI, or it does not start.
    pub async fn start_for_test() -> Option<Self> {
        if !Self::is_installed() {
            assert!(
                std::env::var_os("CI").is_none(),
                "redis-server is not installed, and CI must run every test: install it"
            );
            println!("redis: NOT TESTED, because redis-server is not installed");
            return None;
        }
        let started = Self::start().await;
        Some(started.unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// Starts one on a free port.
    ///
    /// # Errors
    /// It is not installed, or does not open its port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let port = listener.local_addr()?.port();
        drop(listener);
        Ok(Self {
            process: launch(port).await?,
            port,
        })
    }

    /// `redis://host:port/database`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Sends it a signal, as in `-STOP`.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, name: &str) {
        let pid = self.process.id().expect("redis-server runs").to_string();
        let status = Command::new("kill").args([name, &pid]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill {name} {pid} failed"
        );
    }

    /// Kills it, and all that it holds with it.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.context("redis-server stays")
    }

    /// Starts it again, empty, on the same port.
    ///
    /// # Errors
    /// It does not open its port.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = launch(self.port).await?;
        Ok(())
    }
}

async fn launch(port: u16) -> Result<tokio::process::Child> {
    let process = tokio::process::Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server does not start: is it installed?")?;
    let began = Instant::now();
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        ensure!(
            began.elapsed() < START_PATIENCE,
            "redis-server does not open port {port}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(process)
}
