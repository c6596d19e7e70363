//! What components import beside WASI: `spin:postgres`, `spin:key-value`, `spin:variables`, and
//! the rule for outbound HTTP.

pub(crate) mod bindings;
pub(crate) mod instance;
pub(crate) mod key_value;
pub(crate) mod outbound_http;
pub(crate) mod postgres;
pub(crate) mod variables;
