//! `turnpike cache`: takes dead entries out of a store, and warms one.
//!
//! Both work on a store in Redis or in a file. The store in memory is its host's own: there
//! `POST /api/v1/usage/upkeep` and `POST /api/v1/cache/warm` do the same, and `up --warm`.

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use shared::ids::OrganizationId;
use shared::store::cache_entry::{self, Generation, StoreAway};
use shared::store::cache_key;
use shared::warming::{self, ORGANIZATIONS_AT_ONCE, Values, WarmedStore, WarmingMode};
use tokio::time::Instant;
use tokio_postgres::Client;
use uuid::Uuid;

use super::arguments::{CacheCommand, StoreArguments, WarmArguments};
use super::database::Database;
use super::project::Project;
use super::seed::now_millis;
use super::up::choose_key_value;
use crate::imports::key_value::store::{KeyValueOptions, KeyValueStore};

/// How far the bar moves at a time.
const KEYS_AT_ONCE: usize = 100;

/// Runs `turnpike cache sweep` or `turnpike cache warm`.
pub async fn run(project: &Project, command: CacheCommand) -> Result<()> {
    match command {
        CacheCommand::Sweep(arguments) => {
            let store = open(project, arguments)?;
            let bar = project.bar("{spinner} entries: [{bar:30}] {pos}/{len}");
            let swept = sweep(&store, &bar).await?;
            bar.finish_and_clear();
            project.say(format_args!(
                "cache       {} of {} entries were dead, and are gone",
                swept.removed, swept.checked
            ));
        }
        CacheCommand::Warm {
            warming,
            store,
            database,
        } => {
            let store = open(project, store)?;
            let database = Database::open(project, database).await?;
            let client = database.client().await?;
            let bar = project.bar("{spinner} organizations: [{bar:30}] {pos}/{len}");
            let warmed = warm(&store, &client, &warming, &bar).await?;
            bar.finish_and_clear();
            say_warmed(project, warmed);
            drop(client);
            database.close().await?;
        }
    }
    Ok(())
}

/// Says what was warmed.
pub fn say_warmed(project: &Project, warmed: Warmed) {
    project.say(format_args!(
        "cache       {} values of {} organizations are warm",
        warmed.values, warmed.organizations
    ));
}

/// The store that the arguments name.
fn open(project: &Project, arguments: StoreArguments) -> Result<KeyValueStore> {
    let StoreArguments {
        key_value_dir,
        redis_url,
    } = arguments;
    let (options, _) = choose_key_value(project, key_value_dir, redis_url)?;
    if matches!(options, KeyValueOptions::Memory { .. }) {
        bail!(
            "name the store with --redis-url or --key-value-dir: the one in memory is its host's \
             own, and POST /api/v1/usage/upkeep sweeps it, POST /api/v1/cache/warm and `up --warm` \
             warm it"
        );
    }
    KeyValueStore::open(&options)
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Swept {
    checked: usize,
    removed: usize,
}

/// Takes every entry out of the store that has expired or cannot be read.
async fn sweep(store: &KeyValueStore, bar: &ProgressBar) -> Result<Swept> {
    let mut keys = store.keys().await?;
    keys.retain(|key| cache_key::is_ours(key));
    bar.set_length(keys.len() as u64);
    let mut removed = 0;
    for some in keys.chunks(KEYS_AT_ONCE) {
        for key in some {
            let entry = store.get(key).await?;
            let now_millis = now_millis();
            if entry.is_some_and(|entry| cache_entry::is_dead(key, &entry, now_millis)) {
                store.delete(key).await?;
                removed += 1;
            }
        }
        bar.inc(some.len() as u64);
    }
    Ok(Swept {
        checked: keys.len(),
        removed,
    })
}

/// What was warmed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Warmed {
    values: u32,
    organizations: u32,
}

/// Reads what organizations have, some at a time, and caches it. Between two statements it rests
/// for as long as the one took, so that it takes half of one connection at most.
pub async fn warm(
    store: &KeyValueStore,
    client: &Client,
    wanted: &WarmArguments,
    bar: &ProgressBar,
) -> Result<Warmed> {
    let mode = WarmingMode::from(wanted.mode);
    let days = i32::try_from(wanted.days)?;
    let mut after = OrganizationId::NONE.as_uuid();
    let mut warmed = Warmed::default();
    bar.set_length(wanted.limit.into());
    while warmed.organizations < wanted.limit {
        let began = Instant::now();
        let left = usize::try_from(wanted.limit - warmed.organizations)?;
        let limit = i32::try_from(left.min(ORGANIZATIONS_AT_ONCE))?;
        let row = client
            .query_one(
                "SELECT cache_warmed_organizations($1, $2, $3, $4)",
                &[&mode.as_str(), &days, &after, &limit],
            )
            .await
            .context("cannot ask which organizations to warm")?;
        let ids: Vec<Uuid> = row.get(0);
        let Some(last) = ids.last().copied() else {
            break;
        };
        let organizations: Vec<OrganizationId> =
            ids.iter().copied().map(OrganizationId::from_uuid).collect();
        let read = async {
            let sql = "SELECT cache_warmed_values($1, $2)::text";
            let row = client.query_one(sql, &[&mode.as_str(), &ids]).await;
            let row = row.context("cannot read what organizations have")?;
            let values: Values = serde_json::from_str(row.get(0))?;
            Ok::<_, anyhow::Error>(values)
        };
        warmed.values += warming::warm(&HostStore(store), &organizations, read).await?;
        warmed.organizations += u32::try_from(ids.len())?;
        bar.inc(ids.len() as u64);
        after = last;
        tokio::time::sleep(began.elapsed()).await;
    }
    Ok(warmed)
}

/// The host's own access to its store.
struct HostStore<'a>(&'a KeyValueStore);

impl WarmedStore for HostStore<'_> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreAway> {
        self.0.get(key).await.map_err(away)
    }

    async fn set(&self, key: &str, entry: &[u8]) -> Result<(), StoreAway> {
        self.0.set(key, entry).await.map_err(away)
    }

    fn now_millis(&self) -> u64 {
        now_millis()
    }

    fn generation(&self) -> Result<Generation, StoreAway> {
        let mut bytes = [0; 16];
        let filled = getrandom::fill(&mut bytes);
        filled.map(|()| Generation(bytes)).map_err(|_| StoreAway)
    }
}

fn away(error: anyhow::Error) -> StoreAway {
    tracing::warn!("the key-value store failed: {error:#}");
    StoreAway
}

#[cfg(test)]
mod tests {
    use shared::store::cache_entry::{Entry, ScopeState};

    use super::*;
    use crate::postgres_cluster::ScratchDirectory;

    async fn check(options: KeyValueOptions) -> Result<()> {
        let store = KeyValueStore::open(&options)?;
        let value = |key: &str, expires_at_millis| {
            let entry = Entry {
                expires_at_millis,
                generation: Generation([1; 16]),
                payload: b"{}".to_vec(),
            };
            (key.to_owned(), entry.encode(key))
        };
        let state = "tp1:generation:auth:a";
        let mark = ScopeState::Writing { until_millis: 1 };
        let entries = [
            value("tp1:user:live", u64::MAX),
            value("tp1:user:expired", 1),
            (state.to_owned(), mark.encode(state)),
            ("tp1:user:noise".to_owned(), b"noise".to_vec()),
            ("other".to_owned(), b"noise".to_vec()),
        ];
        for (key, entry) in &entries {
            store.set(key, entry).await?;
        }
        for removed in [3, 0] {
            let swept = sweep(&store, &ProgressBar::hidden()).await?;
            assert_eq!(swept.removed, removed, "{options:?}: {swept:?}");
        }
        let mut left = store.keys().await?;
        left.sort();
        assert_eq!(left, ["other", "tp1:user:live"], "{options:?}");
        Ok(())
    }

    #[tokio::test]
    async fn dead_entries_are_swept() -> Result<()> {
        check(KeyValueOptions::default()).await?;
        let directory = ScratchDirectory::new();
        let path = directory.path().join("swept.redb");
        std::fs::create_dir_all(directory.path())?;
        check(KeyValueOptions::Disk { path }).await
    }

    #[test]
    fn the_store_in_memory_is_not_ours_to_change() {
        let arguments = StoreArguments {
            key_value_dir: None,
            redis_url: Some(String::new()),
        };
        let refused = open(&Project::of_this_program(), arguments);
        let reason = refused.err().map(|error| error.to_string());
        assert!(reason.is_some_and(|reason| reason.contains("--redis-url")));
    }
}
