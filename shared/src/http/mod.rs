//! HTTP: the request that a handler reads, the reply or problem that it gives, and
//! the wrapper that runs it.

pub mod fields;
pub mod located_json;
pub mod pagination;
pub mod period;
pub mod problem;

#[cfg(feature = "spin")]
pub mod context;
#[cfg(feature = "spin")]
pub mod pieces;
#[cfg(feature = "spin")]
mod serve;

#[cfg(feature = "spin")]
pub use serve::*;
