//! Which things are cached, under which keys, for how long, and what makes a
//! cached thing stale.
//!
//! A [`CacheKey`] is tied to the type of its value, so that a balance cannot be
//! read as a session. A [`Scope`] names what a cached value depends on: each
//! value is cached under exactly one scope, and a write names every scope whose
//! values it can change. See `docs/cache.md` for why that is sound.

use std::fmt;
use std::marker::PhantomData;

use crate::ids::UserId;
use crate::money::Currency;
use crate::token::TokenDigest;

/// Starts every key. The number rises when the layout of the entries changes,
/// so that two versions of Turnpike can share a store during a roll-out.
const KEY_VERSION: &str = "tp1";

/// A kind of cached thing, with its own time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// A credit balance, as answered to one token.
    CreditBalance,
    /// The signed-in user, as answered to one token.
    User,
    /// What a token stands for, as answered to an introspection.
    Token,
    /// That a caller may introspect, and for which organization.
    Permissions,
}

impl Namespace {
    /// The name used in keys and in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreditBalance => "credit_balance",
            Self::User => "user",
            Self::Token => "token",
            Self::Permissions => "permissions",
        }
    }

    /// Seconds that an entry may be served. Freshness does not depend on it,
    /// the scope's generation sees to that; it bounds how long a dead entry
    /// occupies the store.
    pub const fn ttl_secs(self) -> u32 {
        match self {
            Self::CreditBalance => 60,
            Self::User | Self::Permissions => 900,
            Self::Token => 300,
        }
    }
}

/// The key of one cached value of type `V`.
#[derive(Debug, Clone)]
pub struct CacheKey<V> {
    text: String,
    namespace: Namespace,
    value: PhantomData<fn() -> V>,
}

impl<V> CacheKey<V> {
    /// A key for a value that was answered to one token. Keying by the token's
    /// digest makes authentication part of the entry: whoever finds it has
    /// shown the very token that was checked when it was filled.
    pub fn for_token(namespace: Namespace, token: TokenDigest) -> Self {
        Self {
            text: format!("{KEY_VERSION}:{}:{}", namespace.name(), token.to_base64()),
            namespace,
            value: PhantomData,
        }
    }

    /// As [`CacheKey::for_token`], for a value that also depends on a currency.
    pub fn for_token_and_currency(
        namespace: Namespace,
        token: TokenDigest,
        currency: Currency,
    ) -> Self {
        let mut key = Self::for_token(namespace, token);
        key.text.push(':');
        key.text.push_str(currency.code());
        key
    }

    /// The key as the store sees it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The namespace that gives the time to live.
    pub const fn namespace(&self) -> Namespace {
        self.namespace
    }
}

/// What a cached value depends on. Replacing a scope's generation makes every
/// value cached under it a miss.
///
/// Scopes nest by convention, not by mechanism: a write that changes what a
/// user may do touches [`Scope::Auth`] and [`Scope::Credits`], because balances
/// are answered only to valid tokens. A spend touches [`Scope::Credits`] alone,
/// so that it does not evict the user's sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A user's sessions, profile and permissions.
    Auth(UserId),
    /// A user's credits, as their own tokens see them.
    Credits(UserId),
}

impl Scope {
    /// Everything that a change to a user's sign-in can make stale.
    pub const fn all_of_user(user: UserId) -> [Self; 2] {
        [Self::Auth(user), Self::Credits(user)]
    }
}

/// The store's key of the scope's generation.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth(user) => write!(f, "{KEY_VERSION}:generation:auth:{user}"),
            Self::Credits(user) => write!(f, "{KEY_VERSION}:generation:credits:{user}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token;

    #[test]
    fn keys_of_different_things_differ() {
        let user = UserId::new(1, &[1; 10]);
        let (a, b) = (token::digest("a"), token::digest("b"));
        let usd: Currency = "USD".parse().expect("USD is a currency");
        let eur: Currency = "EUR".parse().expect("EUR is a currency");
        let keys = [
            CacheKey::<()>::for_token(Namespace::User, a).text,
            CacheKey::<()>::for_token(Namespace::User, b).text,
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, a, usd).text,
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, a, eur).text,
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, b, usd).text,
            Scope::Auth(user).to_string(),
            Scope::Credits(user).to_string(),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "two things share the key {key}");
            assert!(key.starts_with("tp1:"), "{key} lacks the layout version");
        }
    }
}
