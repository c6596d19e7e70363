//! `spin:variables@3.0.0`: a component reads the variables of its own stanza.

use wasmtime::component::Accessor;

use crate::imports::bindings::spin::variables::variables::{Error, Host, HostWithStore};
use crate::imports::instance::{InstanceData, InstanceState};
use crate::manifest::check_variable_name;

impl Host for InstanceState {}

impl<T: Send> HostWithStore<T> for InstanceData {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        check_variable_name(&name)
            .map_err(|reason| Error::InvalidName(format!("{name:?}: {reason}")))?;
        accessor.with(|mut access| {
            let component = &access.get().component;
            component.variables.get(&name).cloned().ok_or_else(|| {
                Error::Undefined(format!("no variable for {:?}.{name:?}", component.id))
            })
        })
    }
}
