//! What Turnpike's functions share, in rooms.
//!
//! A room is a module of this crate: a folder or, when it is small, a file. A room
//! uses only rooms below it; `rooms.rs` lists them from lowest to highest and
//! holds the order in a test.
//!
//! Everything outside the `spin` feature is pure: it reads no clock, draws no
//! randomness and does no I/O, so that the same code runs in a component, in
//! the local host and in a browser.

// `#[body]` and `#[answer]` name this crate from wherever they stand.
extern crate self as shared;

pub use derive::{answer, body};
pub use serde;
pub use serde_json;

#[cfg(not(target_arch = "wasm32"))]
pub use schemars;

pub mod auth;
pub mod billing;
pub mod checksum;
#[cfg(feature = "spin")]
pub mod component;
pub mod credits;
pub mod entitlements;
pub mod http;
pub mod ids;
pub mod mail;
pub mod metering;
pub mod metrics;
pub mod money;
pub mod organizations;
pub mod rating;
pub mod store;
pub mod text;
pub mod token;
pub mod warming;

#[cfg(test)]
mod rooms;
