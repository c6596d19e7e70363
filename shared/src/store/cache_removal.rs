//! Taking things out of the cache: what an operator wants gone, and what nobody needs any more.
//!
//! A value is also in the memory of instances, where nobody can reach it. It is served only while
//! its scope has the generation that it carries, so the states of the scopes go first: a scope
//! without a state is given a fresh generation, and every value from before is dead, wherever it is
//! and whoever stores it meanwhile. Then the values go, to make room.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, join_all, select};
use spin_sdk::key_value::Error as StoreError;
use spin_sdk::time;
use spin_sdk::wasip3::wit_bindgen::StreamResult;

use crate::checksum::crc32;
use crate::http::context::Context;
use crate::http::problem::Problem;
use crate::store::cache;
use crate::store::cache_entry::{self, ScopeState, StoreAway};
use crate::store::cache_key::{self, PATTERNS, Scope, ScopeKind};

/// For how long the store may list its keys. It has all of them in one list: half a million are
/// some 50 MB.
const LISTING_PATIENCE: Duration = Duration::from_secs(2);

/// Keys that are taken from that list at a time.
const KEYS_AT_ONCE: usize = 1_000;

/// For how long one call goes on taking states away.
const STATES_TIME: Duration = Duration::from_secs(10);

/// After how much time of a call it takes no more values.
const VALUES_TIME: Duration = Duration::from_millis(1_500);

/// Most keys that a call keeps in memory, of states and of values each: at some 100 bytes, 10 MB.
const MAX_LISTED: usize = 100_000;

/// Most entries that a sweep looks at. Of more it takes a sample, another one each time.
const MAX_SWEPT: usize = 20_000;

/// Keys that the store is asked about at the same time.
const MAX_PARALLEL: usize = 100;

/// What failures of the store are counted by.
const LABEL: &str = "removal";

/// What was taken away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// How many entries of the store: values, and states of scopes.
    pub entries: u32,
    /// Whether the states of all that was asked for are gone, so that nothing from before the call
    /// is served. Otherwise another call goes on.
    pub is_complete: bool,
}

/// Takes away what is cached under these keys' patterns, which are of [`PATTERNS`]. What is cached
/// under the same scopes besides is not found any more either.
///
/// A value that somebody reads from Postgres after the call began may be stored again at once.
///
/// # Errors
/// A 503 if the store is away.
pub async fn remove(context: &Context, patterns: &[&str]) -> Result<Removed, Problem> {
    let kinds: Vec<ScopeKind> = PATTERNS
        .iter()
        .filter(|(pattern, _)| patterns.contains(pattern))
        .map(|(_, kind)| *kind)
        .collect();
    let (mut states, mut values) = (Vec::new(), Vec::new());
    let mut is_complete = true;
    let listed = list(context, |key| {
        let has_pattern = |pattern: &&str| cache_key::has_pattern(&key, pattern);
        if kinds.iter().any(|kind| kind.has_state(&key)) {
            if states.len() < MAX_LISTED {
                states.push(key);
            } else {
                is_complete = false;
            }
        } else if values.len() < MAX_LISTED && patterns.iter().any(has_pattern) {
            values.push(key);
        }
    });
    listed.await?;
    // Readers renew the states that they use, so a call that is not the first one begins elsewhere.
    if !states.is_empty() {
        let start = u32::from_be_bytes(context.random()?);
        let middle = usize::try_from(start).unwrap_or(0) % states.len();
        states.rotate_left(middle);
    }
    let mut removed = Removed {
        entries: 0,
        is_complete,
    };
    for chunk in states.chunks(MAX_PARALLEL) {
        if context.elapsed() >= STATES_TIME {
            removed.is_complete = false;
            break;
        }
        let removals = chunk.iter().map(|key| remove_state(context, key));
        removed.add(join_all(removals).await)?;
    }
    // Without their states the values are dead. They go for the room that they take.
    for chunk in values.chunks(MAX_PARALLEL) {
        if context.elapsed() >= VALUES_TIME {
            break;
        }
        let removals = chunk.iter().map(|key| async {
            cache::delete(context, LABEL, key).await?;
            Ok(true)
        });
        removed.add(join_all(removals).await)?;
    }
    Ok(removed)
}

/// Has nothing be found any more that is cached under these scopes.
///
/// # Errors
/// A 503 if the store is away.
pub async fn remove_scopes(context: &Context, scopes: &[Scope]) -> Result<Removed, Problem> {
    let mut removed = Removed {
        entries: 0,
        is_complete: true,
    };
    let keys: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    let removals = keys.iter().map(|key| remove_state(context, key));
    removed.add(join_all(removals).await)?;
    Ok(removed)
}

impl Removed {
    /// Counts what was removed.
    fn add(&mut self, removals: Vec<Result<bool, StoreAway>>) -> Result<(), StoreAway> {
        for removal in removals {
            self.entries += u32::from(removal?);
        }
        Ok(())
    }
}

/// Takes a scope's state away, unless the scope is being written: then nothing of it is served, and
/// when that ends its generation is a fresh one. Whether there was one to take.
async fn remove_state(context: &Context, key: &str) -> Result<bool, StoreAway> {
    let Some(bytes) = cache::get(context, LABEL, key).await? else {
        return Ok(false);
    };
    match ScopeState::decode(key, &bytes) {
        Some(ScopeState::Writing { until_millis }) if context.now_millis() < until_millis => {
            Ok(false)
        }
        _ => {
            cache::delete(context, LABEL, key).await?;
            Ok(true)
        }
    }
}

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Entries that were looked at.
    pub checked: u32,
    /// Those among them that were dead, and are gone.
    pub removed: u32,
    /// Whether all entries were looked at.
    pub is_complete: bool,
}

/// Takes dead entries out of the store, for `within` at most. `None` if the store is away.
pub async fn sweep(context: &Context, within: Duration) -> Option<Swept> {
    let began = context.elapsed();
    let salt: [u8; 4] = context.random().ok()?;
    let hash = |key: &str| crc32(&[key.as_bytes(), &salt]);
    let (mut sample, mut mask) = (Vec::new(), 0);
    let listed = list(context, |key| {
        if cache_key::is_ours(&key) && hash(&key) & mask == 0 {
            sample.push(key);
        }
        if sample.len() > MAX_SWEPT {
            mask = 2 * mask + 1;
            sample.retain(|key| hash(key) & mask == 0);
        }
    });
    listed.await.ok()?;
    let mut swept = Swept {
        is_complete: mask == 0,
        ..Swept::default()
    };
    for chunk in sample.chunks(MAX_PARALLEL) {
        if context.elapsed().saturating_sub(began) >= within {
            swept.is_complete = false;
            break;
        }
        let removals = chunk.iter().map(|key| remove_dead(context, key));
        for removal in join_all(removals).await {
            swept.removed += u32::from(removal.ok()?);
            swept.checked += 1;
        }
    }
    Some(swept)
}

async fn remove_dead(context: &Context, key: &str) -> Result<bool, StoreAway> {
    let bytes = cache::get(context, LABEL, key).await?;
    let now_millis = context.now_millis();
    let is_dead = bytes.is_some_and(|bytes| cache_entry::is_dead(key, &bytes, now_millis));
    if is_dead {
        cache::delete(context, LABEL, key).await?;
    }
    Ok(is_dead)
}

/// What a probe of the store found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// How long it took to store a value, to find it, and to take it away.
    pub latency: Duration,
    /// How many keys the store has, if that was asked for and it could list them in time.
    pub keys: Option<u32>,
}

/// Whether the store keeps what it is given. `None` if it is away, or gives back something else.
pub async fn probe(context: &Context, counts_keys: bool) -> Option<Probe> {
    let value: [u8; 16] = context.random().ok()?;
    let key = format!("tp1:probe:{:032x}", u128::from_be_bytes(value));
    let began = context.elapsed();
    cache::put(context, LABEL, &key, &value).await.ok()?;
    let found = cache::get(context, LABEL, &key).await.ok()?;
    cache::delete(context, LABEL, &key).await.ok()?;
    let latency = context.elapsed().saturating_sub(began);
    if found.as_deref() != Some(&value) {
        return None;
    }
    let mut keys = None;
    if counts_keys {
        let mut count = 0;
        let listed = list(context, |_| count += 1).await;
        keys = listed.ok().map(|()| count);
    }
    Some(Probe { latency, keys })
}

/// Hands every key of the store to `take`.
async fn list(context: &Context, mut take: impl FnMut(String)) -> Result<(), StoreAway> {
    let listing = pin!(async {
        let (mut keys, result) = cache::store().await?.get_keys().await.into_inner();
        loop {
            let (outcome, some) = keys.read(Vec::with_capacity(KEYS_AT_ONCE)).await;
            some.into_iter().for_each(&mut take);
            if !matches!(outcome, StreamResult::Complete(_)) {
                break;
            }
        }
        result.await
    });
    match select(listing, pin!(time::sleep(LISTING_PATIENCE))).await {
        Either::Left((Ok(()), _)) => Ok(()),
        Either::Left((Err(error), _)) => {
            let error: StoreError = error;
            let message = format!("the key-value store does not list its keys: {error}");
            context.log("warn", &message);
            Err(StoreAway)
        }
        Either::Right(_) => {
            context.log("warn", "the key-value store did not list its keys in time");
            Err(StoreAway)
        }
    }
}
