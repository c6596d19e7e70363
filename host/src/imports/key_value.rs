//! `spin:key-value@3.0.0` over the host's [`KeyValueStore`].
//!
//! [`KeyValueStore`]: store::KeyValueStore

pub(crate) mod store;

use std::sync::Arc;

use anyhow::anyhow;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use crate::imports::bindings::spin::key_value::key_value::{
    Error, Host, HostStore, HostStoreWithStore, Store,
};
use crate::imports::instance::{ComponentContext, InstanceData, InstanceState};
use crate::metrics::KeyValueOperation;
use store::{KeyValueStore, MAX_RESULT_BYTES};

/// The label of the one store there is, as under `spin up` without a runtime configuration.
pub(crate) const DEFAULT_STORE: &str = "default";

/// Stores an instance may hold open at once, as in Spin.
const MAX_OPEN_STORES: u32 = 256;

/// All handles lead to the same store, so that they need no table: they share this number.
const STORE_REP: u32 = 0;

impl Host for InstanceState {}

impl HostStore for InstanceState {
    async fn drop(&mut self, _: Resource<Store>) -> wasmtime::Result<()> {
        self.open_stores = self.open_stores.saturating_sub(1);
        Ok(())
    }
}

/// One operation of a component, which is counted when it ends.
struct Operating {
    component: Arc<ComponentContext>,
    operation: KeyValueOperation,
}

impl Operating {
    /// Begins, after the fault a test may have set.
    async fn begin<T>(
        accessor: &Accessor<T, InstanceData>,
        operation: KeyValueOperation,
    ) -> Result<Self, Error> {
        let component = accessor.with(|mut access| Arc::clone(&access.get().component));
        let operating = Self {
            component,
            operation,
        };
        match operating.store().meet_fault().await {
            Ok(()) => Ok(operating),
            Err(reason) => operating.end(Err(anyhow!("{reason}"))),
        }
    }

    fn store(&self) -> &KeyValueStore {
        &self.component.services.key_value
    }

    fn end<R>(&self, outcome: anyhow::Result<R>) -> Result<R, Error> {
        let metrics = &self.component.services.metrics;
        metrics.key_value_ends(self.operation, outcome.is_ok());
        outcome.map_err(|error| Error::Other(format!("{error:#}")))
    }
}

impl<T: Send> HostStoreWithStore<T> for InstanceData {
    async fn open(accessor: &Accessor<T, Self>, label: String) -> Result<Resource<Store>, Error> {
        accessor.with(|mut access| {
            let instance = access.get();
            if !instance.component.key_value_stores.contains(&label) {
                return Err(Error::AccessDenied);
            }
            if label != DEFAULT_STORE {
                return Err(Error::NoSuchStore);
            }
            if instance.open_stores >= MAX_OPEN_STORES {
                return Err(Error::StoreTableFull);
            }
            instance.open_stores += 1;
            Ok(Resource::new_own(STORE_REP))
        })
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let get = Operating::begin(accessor, KeyValueOperation::Get).await?;
        match get.end(get.store().get(&key).await)? {
            Some(value) if value.len() > MAX_RESULT_BYTES => Err(too_large()),
            value => Ok(value),
        }
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        let set = Operating::begin(accessor, KeyValueOperation::Set).await?;
        set.end(set.store().set(&key, &value).await)
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
        key: String,
    ) -> Result<(), Error> {
        let delete = Operating::begin(accessor, KeyValueOperation::Delete).await?;
        delete.end(delete.store().delete(&key).await)
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
        key: String,
    ) -> Result<bool, Error> {
        let exists = Operating::begin(accessor, KeyValueOperation::Exists).await?;
        exists.end(exists.store().exists(&key).await)
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let listed = match Operating::begin(accessor, KeyValueOperation::Keys).await {
            Ok(list) => list.end(list.store().keys().await),
            Err(error) => Err(error),
        };
        let (keys, outcome) = match listed {
            Ok(keys) if keys.iter().map(String::len).sum::<usize>() > MAX_RESULT_BYTES => {
                (Vec::new(), Err(too_large()))
            }
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        accessor.with(|mut access| {
            let outcome = std::future::ready(wasmtime::error::Ok(outcome));
            Ok((
                StreamReader::new(&mut access, keys)?,
                FutureReader::new(&mut access, outcome)?,
            ))
        })
    }
}

fn too_large() -> Error {
    Error::Other(format!(
        "query result exceeds limit of {MAX_RESULT_BYTES} bytes"
    ))
}
