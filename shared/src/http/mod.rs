//! HTTP: the request that a handler reads, the reply or problem that it gives, and
//! the wrapper that runs it.

mod client_address;
pub mod entity_tag;
pub mod input;
pub mod operation;
pub mod pagination;
pub mod period;
pub mod problem;
pub mod time;

#[cfg(feature = "spin")]
pub(crate) mod after_answer;
#[cfg(feature = "spin")]
pub(crate) mod asker;
#[cfg(feature = "spin")]
mod browser_rules;
#[cfg(feature = "spin")]
pub mod context;
#[cfg(feature = "spin")]
mod gzip;
#[cfg(feature = "spin")]
pub mod hit_rate;
#[cfg(feature = "spin")]
pub mod pieces;
#[cfg(feature = "spin")]
pub mod plain;
#[cfg(feature = "spin")]
mod reply;
#[cfg(feature = "spin")]
mod request;
#[cfg(feature = "spin")]
mod serve;
#[cfg(feature = "spin")]
pub mod wire;

pub use client_address::{ClientAddress, InvalidProxies, TrustedProxies};
#[cfg(feature = "spin")]
pub use reply::Reply;
#[cfg(feature = "spin")]
pub use request::{
    ACCESS_COOKIE, Idempotency, MAX_BODY_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, REFRESH_COOKIE, Request,
};
#[cfg(feature = "spin")]
pub use serve::{Served, serve};
#[cfg(feature = "spin")]
pub use wire::Method;
