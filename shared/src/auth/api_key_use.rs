//! When API keys were last used, as the key-value store knows it.
//!
//! A read writes nothing to Postgres, and most answers to API keys come from the cache. So a use
//! is noted in the store, once a minute by each instance that answers. What the store forgets
//! is not known any more.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::http::context::Context;
use crate::store::moments;
use crate::token::TokenDigest;

/// How long an instance does not note the use of the same key again.
const NOTE_PAUSE_MILLIS: u64 = 60 * 1_000;

/// Most keys that an instance remembers to have noted. At some 60 bytes each they are 60 KB.
const MAX_REMEMBERED: usize = 1_000;

thread_local! {
    static NOTED: RefCell<Noted> = RefCell::default();
}

/// The keys that this instance has noted within the last minute, and when.
#[derive(Default)]
struct Noted(HashMap<TokenDigest, u64>);

impl Noted {
    /// Whether the use of a key is to be noted now, and remembers that it was.
    fn is_due(&mut self, key: TokenDigest, now_millis: u64) -> bool {
        let is_recent = |noted: u64| now_millis.saturating_sub(noted) < NOTE_PAUSE_MILLIS;
        if self.0.get(&key).is_some_and(|noted| is_recent(*noted)) {
            return false;
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, noted| is_recent(*noted));
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(key, now_millis);
        true
    }
}

/// Whether the status of an answer shows that the key is a good one. Other answers are given
/// to anybody who sends something that looks like a key, and would fill the store with that.
pub const fn shows_use(status: u16) -> bool {
    matches!(status, 200..=299 | 403)
}

/// Notes that the key was used now, unless this instance noted it within the last minute. If the
/// store does not take it, the use is not noted.
pub async fn note(context: &Context, key: TokenDigest) {
    let now_millis = context.now_millis();
    if NOTED.with_borrow_mut(|noted| noted.is_due(key, now_millis)) {
        moments::put(context, &store_key(&key.to_hex()), now_millis).await;
    }
}

/// When the keys with these hashes were last used, in milliseconds since 1970: the newest moment
/// that the store knows, if any. A hash has 64 hexadecimal digits.
pub async fn newest(context: &Context, hashes: &[String]) -> Option<u64> {
    let keys: Vec<String> = hashes.iter().map(|hash| store_key(hash)).collect();
    moments::newest(context, &keys).await
}

fn store_key(hash: &str) -> String {
    format!("tp1:api_key_use:{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token;

    #[test]
    fn a_use_is_due_once_a_minute() {
        let (a, b) = (token::digest("a"), token::digest("b"));
        let mut noted = Noted::default();
        let table = [
            (a, 0, true),
            (a, 1, false),
            (b, 1, true),
            (a, NOTE_PAUSE_MILLIS - 1, false),
            (a, NOTE_PAUSE_MILLIS, true),
            (b, NOTE_PAUSE_MILLIS, false),
            // A clock that was set back lets nothing be noted before it has caught up.
            (a, 5, false),
        ];
        for (key, now_millis, expected) in table {
            assert_eq!(noted.is_due(key, now_millis), expected, "at {now_millis}");
        }
    }

    #[test]
    fn few_keys_are_remembered() {
        let mut noted = Noted::default();
        for n in 0..10 * MAX_REMEMBERED {
            assert!(noted.is_due(token::digest(&n.to_string()), 7));
            assert!(noted.0.len() <= MAX_REMEMBERED);
        }
    }

    #[test]
    fn only_answers_to_good_keys_count() {
        let table = [
            (200, true),
            (201, true),
            (204, true),
            (400, false),
            (401, false),
            (403, true),
            (404, false),
            (422, false),
            (500, false),
            (503, false),
        ];
        for (status, expected) in table {
            assert_eq!(shows_use(status), expected, "{status}");
        }
    }
}
