//! Moments in the key-value store that are notes and nothing more: nobody relies on them, and
//! the store may lose them.

use futures::future::join_all;

use crate::http::context::Context;
use crate::store::cache;
use crate::store::cache_entry;

/// Notes a moment, in milliseconds since 1970, unless the store is away.
pub async fn put(context: &Context, key: &str, millis: u64) {
    cache::note(context, key, &cache_entry::encode_moment(key, millis)).await;
}

/// The newest of the moments under `keys`, in milliseconds since 1970. `None` if there is none,
/// or the store is away.
pub async fn newest(context: &Context, keys: &[String]) -> Option<u64> {
    let reads = keys.iter().map(|key| async move {
        let bytes = cache::noted(context, key).await?;
        cache_entry::decode_moment(key, &bytes)
    });
    join_all(reads).await.into_iter().flatten().max()
}
