//! `spin:key-value@3.0.0` over the host's [`KeyValueStore`].
//!
//! [`KeyValueStore`]: store::KeyValueStore

pub(crate) mod store;

use std::sync::Arc;

use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

use crate::imports::bindings::spin::key_value::key_value::{
    Error, Host, HostStore, HostStoreWithStore, Store,
};
use crate::imports::instance::{ComponentContext, InstanceData, InstanceState};
use store::MAX_RESULT_BYTES;

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

/// The component's context, after the fault a test may have set.
async fn enter<T>(accessor: &Accessor<T, InstanceData>) -> Result<Arc<ComponentContext>, Error> {
    let component = accessor.with(|mut access| Arc::clone(&access.get().component));
    let met = component.services.key_value.meet_fault().await;
    met.map_err(|reason| Error::Other(reason.to_owned()))?;
    Ok(component)
}

fn failed(error: anyhow::Error) -> Error {
    Error::Other(format!("{error:#}"))
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
        let component = enter(accessor).await?;
        let value = component
            .services
            .key_value
            .get(&key)
            .await
            .map_err(failed)?;
        match value {
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
        let component = enter(accessor).await?;
        let store = &component.services.key_value;
        store.set(&key, &value).await.map_err(failed)
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
        key: String,
    ) -> Result<(), Error> {
        let component = enter(accessor).await?;
        component
            .services
            .key_value
            .delete(&key)
            .await
            .map_err(failed)
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
        key: String,
    ) -> Result<bool, Error> {
        let component = enter(accessor).await?;
        component
            .services
            .key_value
            .exists(&key)
            .await
            .map_err(failed)
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        _: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let listed = match enter(accessor).await {
            Ok(component) => component.services.key_value.keys().await.map_err(failed),
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
