//! The cache: never needed, never older than an acknowledged write.
//!
//! Every cached value carries the generation that its scope had *before* the
//! value was read from Postgres, and is served only while the scope still has
//! that generation. A write replaces the generation by a fresh random one after
//! it committed and before it is acknowledged. So a reader that raced the write,
//! and stores what it read before the commit, stores it under a generation that
//! is already gone. A hit costs one look-up when the value is in this instance's
//! memory, two when it is in the store.
//!
//! Before its statement a write marks the scope as being written, so that
//! nothing is served or filled meanwhile; if the process dies between commit and
//! acknowledgement, the mark is what keeps the old value from being served.
//! `docs/cache.md` has the whole argument.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::{Either, join, join_all, select};
use spin_sdk::key_value::{Error as StoreError, Store};
use spin_sdk::time;

use crate::http::context::{CacheStatus, Context};
use crate::http::hit_rate;
use crate::http::problem::Problem;
use crate::store::cache_entry::{Entry, Generation, ScopeState, StoreAway};
use crate::store::cache_key::{CacheKey, Scope};
use crate::store::{counts, db};

/// The store's label in spin.toml.
const STORE_LABEL: &str = "default";

/// How long a request waits for the store. A healthy one answers in well under
/// a millisecond. A request that finds it away asks no more, except that a
/// write still tries to invalidate each of its scopes.
const STORE_TIMEOUT: Duration = Duration::from_millis(50);

/// How long this instance leaves the store alone after it failed to answer.
const REST_MILLIS: u64 = 1_000;

/// How long a mark may stand: until no statement of its request can still
/// commit, plus a second and a half for clocks that disagree.
const WRITE_WINDOW_MILLIS: u64 = db::COMMIT_WINDOW_MILLIS + 1_500;

/// Entries in each half of the instance's memory. At about 300 bytes each, which most
/// have, two halves of 1,000 are some 600 KB.
const MEMORY_HALF_ENTRIES: usize = 1_000;

/// Bytes of keys and values in each half, beyond which it takes no more: a summary of
/// usage has up to 128 KiB, of which a thousand would be 128 MiB. Two halves are 4 MiB.
const MEMORY_HALF_BYTES: usize = 2 * 1_024 * 1_024;

/// The first pause before an invalidation that the store did not take is tried
/// again; it doubles each time.
const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two such attempts.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// What failures of the store with notes are counted by.
const NOTES: &str = "api_key_use";

/// Attempts at such an invalidation: 7 in the first 12.7 seconds, then one every
/// ten, for as long as the longest-lived entry, 900 seconds.
const INVALIDATION_ATTEMPTS: u32 = 7 + 90;

/// Scopes whose states are written at the same time. A sign-in has two, so that
/// it waits for the store once; a role can have a thousand.
const MAX_PARALLEL_PUTS: usize = 100;

thread_local! {
    static STORE: RefCell<Option<Rc<Store>>> = const { RefCell::new(None) };
    static RESTING_UNTIL_MILLIS: Cell<u64> = const { Cell::new(0) };
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// The instance's own memory: the last entries seen, in two halves. When the
/// recent half is full it becomes the older one, and the older one is dropped:
/// least-recently-used to within a factor of two, without a list to maintain.
#[derive(Default)]
struct Memory {
    recent: HashMap<String, Rc<Entry>>,
    /// Keys and values of the recent half.
    recent_bytes: usize,
    older: HashMap<String, Rc<Entry>>,
}

impl Memory {
    fn get(&mut self, key: &str) -> Option<Rc<Entry>> {
        if let Some(entry) = self.recent.get(key) {
            return Some(Rc::clone(entry));
        }
        let (key, entry) = self.older.remove_entry(key)?;
        self.put(key, Rc::clone(&entry));
        Some(entry)
    }

    fn put(&mut self, key: String, entry: Rc<Entry>) {
        let bytes = key.len() + entry.payload.len();
        if self.recent.len() >= MEMORY_HALF_ENTRIES || self.recent_bytes + bytes > MEMORY_HALF_BYTES
        {
            self.older = std::mem::take(&mut self.recent);
            self.recent_bytes = 0;
        }
        self.recent_bytes += bytes;
        let key_bytes = key.len();
        if let Some(replaced) = self.recent.insert(key, entry) {
            self.recent_bytes -= key_bytes + replaced.payload.len();
        }
    }
}

/// What a look-up found.
pub enum Lookup<V> {
    /// The value's JSON, current as of this request.
    Hit(Rc<Entry>),
    /// Nothing usable; read from Postgres, then call [`Fill::store`].
    Miss(Fill<V>),
}

/// The right to store what is read from Postgres after it was handed out.
pub struct Fill<V> {
    key: CacheKey<V>,
    scope: Scope,
    plan: FillPlan,
}

enum FillPlan {
    /// Store the value under this generation.
    Store(Generation),
    /// The scope has no generation: give it one, and let the next reader store.
    /// A reader must know the generation before it reads, and giving one to a
    /// scope before the token was checked would let strangers fill the store.
    Establish,
    /// The store is away or the scope is being written.
    Nothing,
}

/// How a look-up ended, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Late: in the second half of the value's lifetime.
    Hit { is_late: bool },
    /// Expired: the value would have been found if it lived longer.
    Miss { is_expired: bool },
    /// The store was not asked, or did not answer.
    Bypass,
}

impl Outcome {
    fn count(self, pattern: &'static str) {
        match self {
            Self::Hit { is_late } => {
                hit_rate::note(true);
                counts::add("cache_hits", pattern, 1);
                counts::add("cache_hits_late", pattern, u64::from(is_late));
            }
            Self::Miss { is_expired } => {
                hit_rate::note(false);
                counts::add("cache_misses", pattern, 1);
                counts::add("cache_misses_expired", pattern, u64::from(is_expired));
            }
            Self::Bypass => counts::add("cache_bypasses", pattern, 1),
        }
    }
}

/// Looks for a value that was cached under `scope`.
pub async fn look_up<V>(context: &Context, key: CacheKey<V>, scope: Scope) -> Lookup<V> {
    let pattern = key.pattern();
    let (found, outcome) = find(context, key, scope).await;
    outcome.count(pattern);
    found
}

async fn find<V>(context: &Context, key: CacheKey<V>, scope: Scope) -> (Lookup<V>, Outcome) {
    let now_millis = context.now_millis();
    let pattern = key.pattern();
    let ttl_millis = key.namespace().ttl_millis();
    // Of a request that looks for two values, a hit is one that found both.
    let has_missed = context.cache_status() == CacheStatus::Miss;
    let miss = |key, plan| Lookup::Miss(Fill { key, scope, plan });
    let bypass = |key| (miss(key, FillPlan::Nothing), Outcome::Bypass);
    let missed = Outcome::Miss { is_expired: false };
    if is_resting(now_millis) {
        return bypass(key);
    }
    let remembered = MEMORY.with_borrow_mut(|memory| memory.get(key.as_str()));
    let was_remembered = remembered.is_some();
    let scope_key = scope.to_string();
    let reads = async {
        let store = store().await?;
        if remembered.is_some() {
            return Ok((store.get(&scope_key).await?, None));
        }
        let (state, value) = join(store.get(&scope_key), store.get(key.as_str())).await;
        Ok((state?, value?))
    };
    let (state, mut stored) = match bounded(context, pattern, reads).await {
        Ok(found) => found,
        Err(StoreAway) => return bypass(key),
    };
    context.set_cache_status(CacheStatus::Miss);
    let generation = match state
        .as_deref()
        .and_then(|bytes| ScopeState::decode(&scope_key, bytes))
    {
        Some(ScopeState::Stable(generation)) => generation,
        Some(ScopeState::Writing { until_millis }) if now_millis < until_millis => {
            return (miss(key, FillPlan::Nothing), missed);
        }
        Some(ScopeState::Writing { .. }) | None => {
            return (miss(key, FillPlan::Establish), missed);
        }
    };
    let is_current = |entry: &Entry| entry.generation == generation;
    let is_alive = |entry: &Entry| now_millis < entry.expires_at_millis;
    let mut found = remembered.filter(|entry| is_current(entry) && is_alive(entry));
    let mut is_expired = false;
    if found.is_none() {
        // Another instance may have stored a newer value than the one that is
        // remembered here; that look-up is still cheaper than Postgres.
        if was_remembered {
            let read = async { store().await?.get(key.as_str()).await };
            stored = match bounded(context, pattern, read).await {
                Ok(stored) => stored,
                Err(StoreAway) => return bypass(key),
            };
        }
        let current = stored
            .as_deref()
            .and_then(|bytes| Entry::decode(key.as_str(), bytes))
            .filter(is_current);
        is_expired = current.as_ref().is_some_and(|entry| !is_alive(entry));
        found = current.filter(is_alive).map(Rc::new);
        if let Some(entry) = &found {
            remember(key.as_str(), entry);
        }
    }
    match found {
        Some(entry) => {
            if !has_missed {
                context.set_cache_status(CacheStatus::Hit);
            }
            let is_late = entry.expires_at_millis - now_millis < ttl_millis / 2;
            (Lookup::Hit(entry), Outcome::Hit { is_late })
        }
        None => (
            miss(key, FillPlan::Store(generation)),
            Outcome::Miss { is_expired },
        ),
    }
}

impl<V: serde::Serialize> Fill<V> {
    /// Stores a value that was read after the look-up, for its namespace's time
    /// to live or until `valid_until_millis`, whichever is sooner.
    pub async fn store(self, context: &Context, value: &V, valid_until_millis: u64) {
        let now_millis = context.now_millis();
        match self.plan {
            FillPlan::Nothing => {}
            FillPlan::Establish => {
                let Ok(generation) = fresh_generation(context) else {
                    return;
                };
                let _ = establish(context, self.scope, generation).await;
            }
            FillPlan::Store(generation) => {
                let ttl_millis = self.key.namespace().ttl_millis();
                let entry = Rc::new(Entry {
                    expires_at_millis: (now_millis + ttl_millis).min(valid_until_millis),
                    generation,
                    payload: serde_json::to_vec(value).unwrap_or_default(),
                });
                let key = self.key.as_str();
                let stored = put(context, self.key.pattern(), key, &entry.encode(key)).await;
                if stored.is_ok() {
                    remember(key, &entry);
                }
            }
        }
    }
}

/// Runs a write and invalidates the scopes that it can change: marks them
/// before, and gives them fresh generations once its outcome is known.
///
/// When the outcome is not known, a 503, the marks stay until the statement can
/// no longer commit.
///
/// # Errors
/// Those of `write`.
pub async fn during_write<T>(
    context: &Context,
    scopes: &[Scope],
    write: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    if !is_resting(context.now_millis()) {
        let until_millis = context.now_millis() + WRITE_WINDOW_MILLIS;
        for chunk in scopes.chunks(MAX_PARALLEL_PUTS) {
            let marks = chunk.iter().map(|scope| async move {
                let key = scope.to_string();
                let mark = ScopeState::Writing { until_millis }.encode(&key);
                put(context, scope.kind().label(), &key, &mark).await
            });
            if join_all(marks).await.iter().any(Result::is_err) {
                break;
            }
        }
    }
    let outcome = write.await;
    match &outcome {
        Err(problem) if problem.status == 503 => {}
        // Nothing was changed, and whoever asked may be nobody: their mark goes,
        // and nothing is left in the store under a name that they made up.
        Err(problem) if matches!(problem.status, 401 | 403) => unmark(context, scopes).await,
        // No account is ever deleted: what is not found was never there, or is somebody else's.
        Err(problem) if problem.status == 404 && scopes.iter().all(Scope::is_account) => {
            unmark(context, scopes).await;
        }
        _ => invalidate(context, scopes).await,
    }
    outcome
}

/// Gives scopes fresh generations: for a write that committed, and that learned
/// only from its statement whom it concerns.
pub async fn invalidate(context: &Context, scopes: &[Scope]) {
    for chunk in scopes.chunks(MAX_PARALLEL_PUTS) {
        join_all(chunk.iter().map(|scope| renew(context, *scope))).await;
    }
}

async fn renew(context: &Context, scope: Scope) {
    let Ok(generation) = fresh_generation(context) else {
        return;
    };
    if establish(context, scope, generation).await.is_err() {
        context.log(
            "warn",
            &format!("the cache did not take the invalidation of {scope}"),
        );
        spin_sdk::wasip3::spawn(invalidate_later(scope));
    }
}

/// Gives a scope this generation.
async fn establish(
    context: &Context,
    scope: Scope,
    generation: Generation,
) -> Result<(), StoreAway> {
    let key = scope.to_string();
    let state = ScopeState::Stable(generation).encode(&key);
    put(context, scope.kind().label(), &key, &state).await
}

async fn unmark(context: &Context, scopes: &[Scope]) {
    for scope in scopes {
        let deleted = delete(context, scope.kind().label(), &scope.to_string()).await;
        if deleted.is_err() {
            // The mark runs out by itself.
            return;
        }
    }
}

/// Keeps trying, so that a store which comes back with old contents serves them
/// for a moment and not for their whole time to live.
async fn invalidate_later(scope: Scope) {
    let mut pause = FIRST_RETRY_PAUSE;
    for _ in 0..INVALIDATION_ATTEMPTS {
        time::sleep(pause).await;
        pause = (pause * 2).min(MAX_RETRY_PAUSE);
        let mut generation = [0u8; 16];
        if getrandom::fill(&mut generation).is_err() {
            return;
        }
        let key = scope.to_string();
        let state = ScopeState::Stable(Generation(generation)).encode(&key);
        let write = pin!(async { store().await?.set(&key, &state).await });
        if let Either::Left((Ok(()), _)) = select(write, pin!(time::sleep(STORE_TIMEOUT))).await {
            return;
        }
    }
}

/// Whether the store answers, for the health endpoint.
pub async fn is_reachable(context: &Context) -> bool {
    let probe = async { store().await?.exists("tp1:health").await };
    bounded(context, "health", probe).await.is_ok()
}

/// Stores a note under `key`, whatever becomes of it. How the cache took part in the answer
/// stays what it was.
pub(super) async fn note(context: &Context, key: &str, bytes: &[u8]) {
    if is_resting(context.now_millis()) {
        return;
    }
    let status = context.cache_status();
    let _ = put(context, NOTES, key, bytes).await;
    context.set_cache_status(status);
}

/// The note under `key`, if the store has one and answers.
pub(super) async fn noted(context: &Context, key: &str) -> Option<Vec<u8>> {
    if is_resting(context.now_millis()) {
        return None;
    }
    let status = context.cache_status();
    let found = get(context, NOTES, key).await;
    context.set_cache_status(status);
    found.ok().flatten()
}

fn fresh_generation(context: &Context) -> Result<Generation, Problem> {
    context.random().map(Generation)
}

fn remember(key: &str, entry: &Rc<Entry>) {
    MEMORY.with_borrow_mut(|memory| memory.put(key.to_owned(), Rc::clone(entry)));
}

fn is_resting(now_millis: u64) -> bool {
    now_millis < RESTING_UNTIL_MILLIS.get()
}

/// What the store has under `key`.
pub(crate) async fn get(
    context: &Context,
    label: &'static str,
    key: &str,
) -> Result<Option<Vec<u8>>, StoreAway> {
    bounded(context, label, async { store().await?.get(key).await }).await
}

/// Stores bytes under `key`.
pub(crate) async fn put(
    context: &Context,
    label: &'static str,
    key: &str,
    value: &[u8],
) -> Result<(), StoreAway> {
    let set = async { store().await?.set(key, value).await };
    bounded(context, label, set).await
}

/// Takes away what the store has under `key`.
pub(super) async fn delete(
    context: &Context,
    label: &'static str,
    key: &str,
) -> Result<(), StoreAway> {
    bounded(context, label, async { store().await?.delete(key).await }).await
}

/// Waits for the store, but not for long. Most stores answer at once, and then
/// no timer is set. A failure is counted under `label`.
async fn bounded<T>(
    context: &Context,
    label: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreAway> {
    let mut work = pin!(work);
    let at_once = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    let outcome = match at_once {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => match select(work, pin!(time::sleep(STORE_TIMEOUT))).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        },
    };
    match outcome {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => context.log("warn", &format!("the key-value store failed: {error}")),
        None => context.log("warn", "the key-value store did not answer in time"),
    }
    counts::add("cache_errors", label, 1);
    STORE.set(None);
    RESTING_UNTIL_MILLIS.set(context.now_millis() + REST_MILLIS);
    context.set_cache_status(CacheStatus::Bypass);
    Err(StoreAway)
}

pub(super) async fn store() -> Result<Rc<Store>, StoreError> {
    if let Some(store) = STORE.with_borrow(Clone::clone) {
        return Ok(store);
    }
    let opened = Rc::new(Store::open(STORE_LABEL).await?);
    STORE.set(Some(Rc::clone(&opened)));
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u8) -> Rc<Entry> {
        Rc::new(Entry {
            expires_at_millis: 0,
            generation: Generation([tag; 16]),
            payload: vec![tag],
        })
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_used() {
        let mut memory = Memory::default();
        memory.put("used".to_owned(), entry(1));
        for i in 0..10 * MEMORY_HALF_ENTRIES {
            memory.put(format!("key {i}"), entry(2));
            assert!(
                memory.get("used").is_some(),
                "an entry in use was dropped after {i} others"
            );
            let len = memory.recent.len() + memory.older.len();
            assert!(
                len <= 2 * MEMORY_HALF_ENTRIES,
                "{len} entries exceed the bound"
            );
        }
        assert!(
            memory.get("key 0").is_none(),
            "an unused entry was kept for ever"
        );
    }

    #[test]
    fn memory_is_bounded_in_bytes_too() {
        let large = |bytes: usize| {
            Rc::new(Entry {
                expires_at_millis: 0,
                generation: Generation([0; 16]),
                payload: vec![0; bytes],
            })
        };
        let mut memory = Memory::default();
        // The same one again takes no more room.
        for _ in 0..1_000 {
            memory.put("same".to_owned(), large(100_000));
        }
        assert!(memory.older.is_empty());
        for i in 0..1_000 {
            memory.put(format!("key {i}"), large(100_000));
            let bytes = memory.recent.values().chain(memory.older.values());
            let bytes: usize = bytes.map(|entry| entry.payload.len()).sum();
            assert!(bytes <= 2 * MEMORY_HALF_BYTES, "{bytes} exceed the bound");
        }
    }
}
