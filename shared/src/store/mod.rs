//! Where things are kept: Postgres, and the cache before it.

#[cfg(feature = "spin")]
pub mod cache;
pub mod cache_entry;
pub mod cache_key;
#[cfg(feature = "spin")]
pub mod cache_removal;
#[cfg(feature = "spin")]
pub mod counts;
#[cfg(feature = "spin")]
pub mod db;
#[cfg(feature = "spin")]
pub mod moments;
pub mod timeouts;
#[cfg(feature = "spin")]
mod together;
