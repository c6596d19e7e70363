//! The key-value store in a Redis server.

use std::time::Duration;

use anyhow::{Context as _, Result};
use redis::AsyncCommands as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::sync::OnceCell;

/// The longest pause between two attempts to reconnect: a cache that is back should be used soon,
/// and two attempts a second burden nobody.
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// A Redis database. Its one connection carries all commands at once and comes back by itself.
pub(super) struct RedisStore {
    client: redis::Client,
    /// Made at the first use: it needs a running runtime, and the server may not be up yet.
    connection: OnceCell<ConnectionManager>,
}

impl RedisStore {
    pub(super) fn open(url: &str) -> Result<Self> {
        // The URL may hold a password, so no message repeats it.
        let client = redis::Client::open(url)
            .context("the Redis URL is malformed: write redis://host:6379/0")?;
        Ok(Self {
            client,
            connection: OnceCell::new(),
        })
    }

    async fn connection(&self) -> Result<ConnectionManager> {
        let connection = self
            .connection
            .get_or_try_init(|| async {
                ConnectionManager::new_lazy_with_config(
                    self.client.clone(),
                    ConnectionManagerConfig::new().set_max_delay(MAX_RECONNECT_DELAY),
                )
            })
            .await?;
        Ok(connection.clone())
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.connection().await?.get(key).await?)
    }

    pub(super) async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        Ok(self.connection().await?.set(key, value).await?)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        Ok(self.connection().await?.del(key).await?)
    }

    pub(super) async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.connection().await?.exists(key).await?)
    }

    pub(super) async fn keys(&self) -> Result<Vec<String>> {
        let mut connection = self.connection().await?;
        let mut scan = connection.scan::<String>().await?;
        let mut keys = Vec::new();
        while let Some(key) = scan.next_item().await {
            keys.push(key?);
        }
        Ok(keys)
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisStore")
    }
}
