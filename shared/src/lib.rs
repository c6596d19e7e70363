//! What Turnpike's functions share.
//!
//! Everything outside the `spin` feature is pure: it reads no clock, draws no
//! randomness and does no I/O, so that the same code runs in a component, in
//! the local host and in a browser.

pub mod analytics;
pub mod cache_entry;
pub mod cache_key;
pub mod credit_owner;
pub mod credits;
pub mod decimal_text;
#[cfg(any(feature = "jwt", feature = "totp"))]
mod derived_key;
pub mod email;
pub mod entitlements;
pub mod fields;
pub mod grant_terms;
pub mod ids;
#[cfg(feature = "jwt")]
pub mod jwt;
pub mod located_json;
pub mod lockout;
pub mod mail;
pub mod money;
pub mod org_billing;
pub mod organizations;
pub mod pagination;
#[cfg(feature = "password")]
pub mod password;
pub mod period;
pub mod plan_terms;
pub mod problem;
pub mod rating;
#[cfg(feature = "totp")]
pub mod second_factor;
pub mod token;
#[cfg(feature = "totp")]
pub mod totp;

#[cfg(feature = "spin")]
pub mod cache;
#[cfg(feature = "spin")]
pub mod context;
#[cfg(feature = "spin")]
pub mod db;
#[cfg(feature = "spin")]
pub mod hash_lease;
#[cfg(feature = "spin")]
pub mod http;
#[cfg(feature = "spin")]
pub mod outbox;
#[cfg(feature = "spin")]
pub mod pieces;
#[cfg(feature = "spin")]
pub mod secrets;
#[cfg(feature = "spin")]
pub mod session;
