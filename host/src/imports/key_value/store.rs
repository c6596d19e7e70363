//! The key-value store behind `spin:key-value`: in memory, in a file, or in Redis.

mod disk;
mod memory;
mod redis_server;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Result;

use disk::DiskStore;
use memory::MemoryStore;
use redis_server::RedisStore;

/// How much the memory store holds unless told otherwise: 256 MiB, which at about 500 bytes an
/// entry is some 500,000 entries.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// The largest key or list of keys the host hands to a component: 128 MiB, as in Spin.
pub(crate) const MAX_RESULT_BYTES: usize = 128 << 20;

/// Which store a host opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueOptions {
    /// In this process; the least used entries go when it is full.
    Memory {
        /// Keys and values together hold at most this.
        max_bytes: u64,
    },
    /// In a file, which survives a restart. It is a cache: the last moments before a crash of
    /// the machine may be lost, earlier writes not.
    Disk {
        /// The file; its directory must exist.
        path: PathBuf,
    },
    /// In a Redis server.
    Redis {
        /// `redis://host:port/database`.
        url: String,
    },
}

impl Default for KeyValueOptions {
    fn default() -> Self {
        Self::Memory {
            max_bytes: DEFAULT_MEMORY_BYTES,
        }
    }
}

/// What every component's access to the store does, for tests of how they cope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Works.
    None = 0,
    /// Every operation fails at once.
    Error = 1,
    /// No operation ever ends.
    Hang = 2,
}

/// A host's key-value store, shared by all its components.
///
/// Its own methods are for tests and commands; they work whatever [`Fault`] is set.
#[derive(Debug)]
pub struct KeyValueStore {
    backend: Backend,
    fault: AtomicU8,
}

#[derive(Debug)]
enum Backend {
    Memory(MemoryStore),
    Disk(DiskStore),
    Redis(RedisStore),
}

impl KeyValueStore {
    /// Opens the store. A Redis server is first connected to when it is first used, because a
    /// host must start without its cache.
    ///
    /// # Errors
    /// The file cannot be opened, or the URL is malformed.
    pub fn open(options: &KeyValueOptions) -> Result<Self> {
        let backend = match options {
            KeyValueOptions::Memory { max_bytes } => Backend::Memory(MemoryStore::new(*max_bytes)),
            KeyValueOptions::Disk { path } => Backend::Disk(DiskStore::open(path)?),
            KeyValueOptions::Redis { url } => Backend::Redis(RedisStore::open(url)?),
        };
        Ok(Self {
            backend,
            fault: AtomicU8::new(Fault::None as u8),
        })
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match &self.backend {
            Backend::Memory(store) => Ok(store.get(key)),
            Backend::Disk(store) => store.get(key),
            Backend::Redis(store) => store.get(key).await,
        }
    }

    /// Sets the value of `key`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        match &self.backend {
            Backend::Memory(store) => {
                store.set(key, value);
                Ok(())
            }
            Backend::Disk(store) => store.set(key, value),
            Backend::Redis(store) => store.set(key, value).await,
        }
    }

    /// Removes `key`, whether it exists or not.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn delete(&self, key: &str) -> Result<()> {
        match &self.backend {
            Backend::Memory(store) => {
                store.delete(key);
                Ok(())
            }
            Backend::Disk(store) => store.delete(key),
            Backend::Redis(store) => store.delete(key).await,
        }
    }

    /// Whether `key` has a value.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn exists(&self, key: &str) -> Result<bool> {
        match &self.backend {
            Backend::Memory(store) => Ok(store.exists(key)),
            Backend::Disk(store) => store.exists(key),
            Backend::Redis(store) => store.exists(key).await,
        }
    }

    /// All keys, in no particular order.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn keys(&self) -> Result<Vec<String>> {
        match &self.backend {
            Backend::Memory(store) => Ok(store.keys()),
            Backend::Disk(store) => store.keys(),
            Backend::Redis(store) => store.keys().await,
        }
    }

    /// Removes everything.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn clear(&self) -> Result<()> {
        match &self.backend {
            Backend::Memory(store) => {
                store.clear();
                Ok(())
            }
            Backend::Disk(store) => store.clear(),
            Backend::Redis(store) => {
                for key in store.keys().await? {
                    store.delete(&key).await?;
                }
                Ok(())
            }
        }
    }

    /// Makes every access of a component fail, hang, or work again. Accesses that hang already
    /// stay so.
    pub fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    /// Applies the fault that is set, as every access of a component does first.
    pub(crate) async fn meet_fault(&self) -> Result<(), &'static str> {
        match self.fault.load(Ordering::Relaxed) {
            0 => Ok(()),
            1 => Err("the store is set to fail"),
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(options: KeyValueOptions) -> Result<()> {
        let store = KeyValueStore::open(&options)?;
        assert_eq!(store.get("a").await?, None, "{options:?}: starts empty");
        assert!(!store.exists("a").await?, "{options:?}");
        store.delete("a").await?;
        store.set("a", b"1").await?;
        store.set("b", b"").await?;
        store.set("a", b"2").await?;
        assert_eq!(
            store.get("a").await?.as_deref(),
            Some(&b"2"[..]),
            "{options:?}: overwrites"
        );
        assert_eq!(
            store.get("b").await?.as_deref(),
            Some(&b""[..]),
            "{options:?}: keeps empty"
        );
        assert!(store.exists("b").await?, "{options:?}");
        let mut keys = store.keys().await?;
        keys.sort();
        assert_eq!(keys, ["a", "b"], "{options:?}");
        store.delete("a").await?;
        assert_eq!(store.get("a").await?, None, "{options:?}: deletes");
        store.clear().await?;
        assert!(store.keys().await?.is_empty(), "{options:?}: clears");
        Ok(())
    }

    fn scratch_file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("turnpike-{name}-{}.redb", std::process::id()))
    }

    #[tokio::test]
    async fn each_store_keeps_the_contract() -> Result<()> {
        check(KeyValueOptions::default()).await?;
        let path = scratch_file("contract");
        let outcome = check(KeyValueOptions::Disk { path: path.clone() }).await;
        std::fs::remove_file(path)?;
        outcome
    }

    #[tokio::test]
    async fn the_disk_store_survives_a_restart() -> Result<()> {
        let path = scratch_file("restart");
        let options = KeyValueOptions::Disk { path: path.clone() };
        let store = KeyValueStore::open(&options)?;
        store.set("kept", b"yes").await?;
        drop(store);
        let value = KeyValueStore::open(&options)?.get("kept").await?;
        std::fs::remove_file(path)?;
        assert_eq!(
            value.as_deref(),
            Some(&b"yes"[..]),
            "write the rest when the store closes"
        );
        Ok(())
    }

    #[tokio::test]
    async fn the_memory_store_stays_within_its_bound() -> Result<()> {
        let max_bytes = 1024 * 1024;
        let store = KeyValueStore::open(&KeyValueOptions::Memory { max_bytes })?;
        for index in 0..4096 {
            store.set(&format!("key-{index}"), &[7; 1024]).await?;
        }
        let kept = store.keys().await?.len();
        assert!(
            (1..=1024).contains(&kept),
            "{kept} entries of 1 KiB do not fit 1 MiB: the weigher must count bytes"
        );
        Ok(())
    }

    #[tokio::test]
    async fn faults_are_met_by_components_only() -> Result<()> {
        let store = KeyValueStore::open(&KeyValueOptions::default())?;
        store.set_fault(Fault::Error);
        assert!(store.meet_fault().await.is_err());
        assert_eq!(
            store.get("a").await?,
            None,
            "the host's own access must still work"
        );
        store.set_fault(Fault::Hang);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(10), store.meet_fault());
        assert!(waited.await.is_err(), "a hanging store must not answer");
        store.set_fault(Fault::None);
        assert!(store.meet_fault().await.is_ok());
        Ok(())
    }

    #[test]
    fn unusable_options_are_refused() {
        for options in [
            KeyValueOptions::Redis {
                url: "not a url".to_owned(),
            },
            KeyValueOptions::Disk {
                path: PathBuf::from("/nonexistent/directory/store.redb"),
            },
        ] {
            assert!(
                KeyValueStore::open(&options).is_err(),
                "{options:?} must be refused"
            );
        }
    }
}
