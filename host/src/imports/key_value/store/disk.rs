//! The key-value store in a file.
//!
//! A store that forgets its last writes but keeps earlier ones would bring back
//! values that were invalidated. So the contents are kept only across an orderly
//! stop, which a mark beside the file vouches for; after anything else the store
//! begins empty.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");

/// One write in this many reaches the disk before it returns. What a crash loses is lost whole,
/// but the file reuses freed pages only after a durable commit, so without one it would grow for
/// ever: 1,000 writes of a 4 KiB page bound that growth to some megabytes.
const WRITES_PER_SYNC: u32 = 1_000;

/// A file of entries. Operations are short: they end in the page cache, all but one write in
/// [`WRITES_PER_SYNC`].
pub(super) struct DiskStore {
    database: Database,
    writes: AtomicU32,
    /// The file that says that the store was closed in order.
    closed_mark: PathBuf,
}

impl DiskStore {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let database = Database::create(path).with_context(|| {
            format!(
                "cannot open the key-value store {}: it must be in an existing directory, and no \
                 other process may have it open",
                path.display()
            )
        })?;
        let closed_mark = path.with_added_extension("closed");
        let was_closed = std::fs::remove_file(&closed_mark).is_ok();
        let store = Self {
            database,
            writes: AtomicU32::new(0),
            closed_mark,
        };
        // Reading a table that does not exist is an error, so it is created here.
        let transaction = store.database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        if !was_closed {
            store.clear()?;
            store.sync()?;
        }
        Ok(store)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    pub(super) fn exists(&self, key: &str) -> Result<bool> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.is_some())
    }

    pub(super) fn keys(&self) -> Result<Vec<String>> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        table
            .iter()?
            .map(|entry| Ok(entry?.0.value().to_owned()))
            .collect()
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.write(|table| {
            table.insert(key, value)?;
            Ok(())
        })
    }

    pub(super) fn delete(&self, key: &str) -> Result<()> {
        self.write(|table| {
            table.remove(key)?;
            Ok(())
        })
    }

    pub(super) fn clear(&self) -> Result<()> {
        self.write(|table| {
            table.retain(|_, _| false)?;
            Ok(())
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &'static str, &'static [u8]>) -> Result<()>,
    ) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        let count = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if !count.is_multiple_of(WRITES_PER_SYNC) {
            transaction.set_durability(Durability::None)?;
        }
        change(&mut transaction.open_table(TABLE)?)?;
        transaction.commit()?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.database.begin_write()?.commit()?;
        Ok(())
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        let closed = self
            .sync()
            .and_then(|()| Ok(std::fs::write(&self.closed_mark, "")?));
        if let Err(error) = closed {
            tracing::warn!("the key-value store will begin empty next time: {error:#}");
        }
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiskStore")
    }
}
