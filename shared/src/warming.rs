//! Warming: values are read from Postgres and cached before anybody asks for them.
//!
//! Only what belongs to an organization is worth it. Everything else is keyed by a token, and
//! changes hands with it. A value is stored under the generation that its scope had before it was
//! read, as any reader stores it, so warming makes nothing stale: see `docs/cache.md`.
//!
//! Another kind of value that belongs to an organization gets a list in [`Values`] and in the SQL
//! function `cache_warmed_values`, and a line in `warm`.

use std::collections::BTreeMap;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::billing::subscription::Subscription;
use crate::credits::CreditPool;
#[cfg(feature = "spin")]
use crate::http::context::Context;
use crate::ids::OrganizationId;
use crate::money::Currency;
#[cfg(feature = "spin")]
use crate::store::cache;
use crate::store::cache_entry::{Entry, Generation, ScopeState, StoreAway};
use crate::store::cache_key::{CacheKey, Namespace, Scope};

/// Organizations whose values are read by one statement. It takes some milliseconds for so many,
/// so that requests of users seldom wait behind it.
pub const ORGANIZATIONS_AT_ONCE: usize = 50;

/// What failures of the store are counted by.
#[cfg(feature = "spin")]
const LABEL: &str = "warming";

/// What is warmed.
#[shared::body]
#[derive(Copy, PartialEq, Eq)]
pub enum WarmingMode {
    /// The subscriptions and pools of all organizations.
    Full,
    /// The subscriptions: who has which plan.
    Plans,
    /// The subscriptions and pools of organizations in which somebody was signed in of late.
    Profiles,
    /// The pools: the figures of credits.
    Stats,
    /// Of the organizations of `profiles` what was looked for at this hour and weekday before.
    Predicted,
}

impl WarmingMode {
    /// Its name in the API and in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Plans => "plans",
            Self::Profiles => "profiles",
            Self::Stats => "stats",
            Self::Predicted => "predicted",
        }
    }
}

/// What the SQL function `cache_warmed_values` answers.
#[derive(Debug, Deserialize)]
pub struct Values {
    subscriptions: Vec<Subscription>,
    pools: Vec<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    currency: Currency,
    expires_millis: u64,
    pool: CreditPool,
}

/// A store of the cache as warming needs it, with the time and fresh generations.
pub trait WarmedStore {
    /// The entry under `key`.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, StoreAway>>;

    /// Stores an entry under `key`.
    fn set(&self, key: &str, entry: &[u8]) -> impl Future<Output = Result<(), StoreAway>>;

    /// Milliseconds since 1970.
    fn now_millis(&self) -> u64;

    /// A generation from a cryptographic source.
    fn generation(&self) -> Result<Generation, StoreAway>;
}

/// The generations under which values that are read from now on can be stored. A scope that has
/// none gets one; one that is being written is left out.
async fn generations(
    store: &impl WarmedStore,
    scopes: impl IntoIterator<Item = Scope>,
) -> Result<BTreeMap<String, Generation>, StoreAway> {
    let mut generations = BTreeMap::new();
    for scope in scopes {
        let key = scope.to_string();
        let bytes = store.get(&key).await?;
        let state = bytes.and_then(|bytes| ScopeState::decode(&key, &bytes));
        let generation = match state {
            Some(ScopeState::Stable(generation)) => generation,
            Some(ScopeState::Writing { until_millis }) if store.now_millis() < until_millis => {
                continue;
            }
            Some(ScopeState::Writing { .. }) | None => {
                let generation = store.generation()?;
                let state = ScopeState::Stable(generation).encode(&key);
                store.set(&key, &state).await?;
                generation
            }
        };
        generations.insert(key, generation);
    }
    Ok(generations)
}

/// Caches the values of some organizations that `read` reads, and says how many.
///
/// # Errors
/// What `read` failed with, or that the store is away.
pub async fn warm<E: From<StoreAway>>(
    store: &impl WarmedStore,
    organizations: &[OrganizationId],
    read: impl Future<Output = Result<Values, E>>,
) -> Result<u32, E> {
    let scopes = organizations
        .iter()
        .flat_map(|id| [Scope::Organization(*id), Scope::Pool(*id)]);
    // Before anything is read, as a reader's must be known.
    let generations = generations(store, scopes).await?;
    let values = read.await?;
    let expires_at = |namespace: Namespace, until_millis: u64| {
        until_millis.min(store.now_millis() + namespace.ttl_millis())
    };
    let mut warmed = 0;
    for subscription in values.subscriptions {
        let id = subscription.organization_id;
        let key = CacheKey::<Subscription>::for_organization(Namespace::Subscription, id);
        if let Some(generation) = generations.get(&Scope::Organization(id).to_string()) {
            let expires_at_millis = expires_at(key.namespace(), u64::MAX);
            put(store, &key, *generation, expires_at_millis, &subscription).await?;
            warmed += 1;
        }
    }
    for Pool {
        currency,
        expires_millis,
        pool,
    } in values.pools
    {
        let id = pool.organization_id;
        let of = Namespace::CreditPool;
        let key = CacheKey::<CreditPool>::for_organization_and_currency(of, id, currency);
        if let Some(generation) = generations.get(&Scope::Pool(id).to_string()) {
            let expires_at_millis = expires_at(of, expires_millis);
            put(store, &key, *generation, expires_at_millis, &pool).await?;
            warmed += 1;
        }
    }
    Ok(warmed)
}

async fn put<V: Serialize>(
    store: &impl WarmedStore,
    key: &CacheKey<V>,
    generation: Generation,
    expires_at_millis: u64,
    value: &V,
) -> Result<(), StoreAway> {
    let entry = Entry {
        expires_at_millis,
        generation,
        payload: serde_json::to_vec(value).unwrap_or_default(),
    };
    let key = key.as_str();
    store.set(key, &entry.encode(key)).await
}

/// The store of a component.
#[cfg(feature = "spin")]
#[derive(Debug)]
pub struct ComponentStore<'a>(pub &'a Context);

#[cfg(feature = "spin")]
impl WarmedStore for ComponentStore<'_> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreAway> {
        cache::get(self.0, LABEL, key).await
    }

    async fn set(&self, key: &str, entry: &[u8]) -> Result<(), StoreAway> {
        cache::put(self.0, LABEL, key, entry).await
    }

    fn now_millis(&self) -> u64 {
        self.0.now_millis()
    }

    fn generation(&self) -> Result<Generation, StoreAway> {
        self.0.random().map(Generation).map_err(|_| StoreAway)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use serde_json::json;

    use super::*;

    const NOW_MILLIS: u64 = 1_000_000;

    /// What comes of work that waits for nothing.
    fn finished<T>(work: impl Future<Output = T>) -> T {
        match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("a store in memory does not wait"),
        }
    }

    #[derive(Default)]
    struct Memory(RefCell<BTreeMap<String, Vec<u8>>>);

    impl WarmedStore for Memory {
        async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreAway> {
            Ok(self.0.borrow().get(key).cloned())
        }

        async fn set(&self, key: &str, entry: &[u8]) -> Result<(), StoreAway> {
            self.0.borrow_mut().insert(key.to_owned(), entry.to_vec());
            Ok(())
        }

        fn now_millis(&self) -> u64 {
            NOW_MILLIS
        }

        fn generation(&self) -> Result<Generation, StoreAway> {
            Ok(Generation([7; 16]))
        }
    }

    fn values(id: OrganizationId, expires_millis: u64) -> Values {
        let money = json!({"amount": "1.00", "currency": "USD"});
        let time = "2026-11-21T00:00:00.000000Z";
        serde_json::from_value(json!({
            "subscriptions": [{
                "organization_id": id, "plan": "team", "seats": 3, "status": "active",
                "billing_period": "month", "seat_price": money, "mrr": money, "period_started_at": time,
                "period_ends_at": time, "version": 1, "created_at": time, "updated_at": time,
            }],
            "pools": [{"currency": "USD", "expires_millis": expires_millis, "pool": {
                "organization_id": id, "available": money, "held": money, "total": money,
                "pending": money, "allocated": money, "unallocated": money,
            }}],
        }))
        .expect("a document as cache_warmed_values makes it")
    }

    #[test]
    fn values_are_stored_under_the_generation_from_before_they_were_read() {
        let id = OrganizationId::new(1, &[1; 10]);
        let mark = ScopeState::Writing {
            until_millis: NOW_MILLIS + 1,
        };
        let old_mark = ScopeState::Writing {
            until_millis: NOW_MILLIS,
        };
        let stable = ScopeState::Stable(Generation([9; 16]));
        let table = [
            (None, Some(7)),
            (Some(stable), Some(9)),
            (Some(mark), None),
            (Some(old_mark), Some(7)),
        ];
        for (state, expected) in table {
            let store = Memory::default();
            let scope = Scope::Organization(id).to_string();
            if let Some(state) = state {
                let entry = state.encode(&scope);
                store.0.borrow_mut().insert(scope.clone(), entry);
            }
            // Whoever writes meanwhile replaces the generation.
            let read = async {
                let renewed = ScopeState::Stable(Generation([1; 16])).encode(&scope);
                store.0.borrow_mut().insert(scope.clone(), renewed);
                Ok::<_, StoreAway>(values(id, u64::MAX))
            };
            let warmed = finished(warm(&store, &[id], read));
            assert_eq!(warmed, Ok(1 + u32::from(expected.is_some())), "{state:?}");
            let key = format!("tp1:subscription:{id}");
            let entries = store.0.borrow();
            let entry = entries
                .get(&key)
                .and_then(|entry| Entry::decode(&key, entry));
            let expected = expected.map(|byte| Generation([byte; 16]));
            assert_eq!(entry.map(|entry| entry.generation), expected, "{state:?}");
        }
    }

    #[test]
    fn values_live_as_long_as_a_readers() {
        let id = OrganizationId::new(1, &[1; 10]);
        let table = [
            (u64::MAX, NOW_MILLIS + 60_000),
            (NOW_MILLIS + 5, NOW_MILLIS + 5),
        ];
        for (until, expected) in table {
            let store = Memory::default();
            let read = async { Ok::<_, StoreAway>(values(id, until)) };
            assert_eq!(finished(warm(&store, &[id], read)), Ok(2));
            let key = format!("tp1:credit_pool:{id}:USD");
            let entries = store.0.borrow();
            let entry = entries
                .get(&key)
                .and_then(|entry| Entry::decode(&key, entry));
            assert_eq!(entry.map(|entry| entry.expires_at_millis), Some(expected));
        }
    }
}
