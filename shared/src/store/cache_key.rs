//! Which things are cached, under which keys, for how long, and what makes a
//! cached thing stale.
//!
//! A [`CacheKey`] is tied to the type of its value, so that a balance cannot be
//! read as a session. A [`Scope`] names what a cached value depends on: each
//! value is cached under exactly one scope, and a write names every scope whose
//! values it can change. See `docs/cache.md` for why that is sound.

use std::fmt;
use std::marker::PhantomData;

use crate::ids::{OrganizationId, UserId};
use crate::money::Currency;
use crate::token::{self, TokenDigest};

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
    /// That a caller may introspect, or see what meters counted, and for which
    /// organization; that one may see an organization's billing.
    Permissions,
    /// An organization's subscription, for whoever may see it.
    Subscription,
    /// An organization's credit pool, for whoever may see it.
    CreditPool,
    /// What a user has spent in a period, as answered to one token; what an
    /// organization's meter counted, for whoever may see it.
    UsageSummary,
}

impl Namespace {
    /// The name used in keys and in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreditBalance => "credit_balance",
            Self::User => "user",
            Self::Token => "token",
            Self::Permissions => "permissions",
            Self::Subscription => "subscription",
            Self::CreditPool => "credit_pool",
            Self::UsageSummary => "usage_summary",
        }
    }

    /// Seconds that an entry may be served. Freshness does not depend on it,
    /// the scope's generation sees to that; it bounds how long a dead entry
    /// occupies the store.
    pub const fn ttl_secs(self) -> u32 {
        match self {
            Self::CreditBalance | Self::CreditPool => 60,
            Self::User | Self::Permissions => 900,
            Self::Token | Self::UsageSummary | Self::Subscription => 300,
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

    /// As [`CacheKey::for_token`], for a value that also depends on what was asked.
    /// `query` is what the request was understood as, and never what was sent, so
    /// that two ways to ask the same share an entry. It can have any length: its
    /// SHA-256 is in the key.
    pub fn for_token_and_query(namespace: Namespace, token: TokenDigest, query: &str) -> Self {
        let mut key = Self::for_token(namespace, token);
        key.text.push(':');
        key.text.push_str(&token::digest(query).to_base64());
        key
    }

    /// A key for the right of a token to see what its own organization has cached
    /// under `of`, and for which organization that is.
    pub fn for_own_reader(token: TokenDigest, of: Namespace) -> Self {
        let mut key = Self::for_token(Namespace::Permissions, token);
        key.text.push(':');
        key.text.push_str(of.name());
        key
    }

    /// A key for the right of a token to see what an organization has cached under
    /// `of`. It is served only together with the right of the very token that asks.
    pub fn for_reader(token: TokenDigest, of: Namespace, organization: OrganizationId) -> Self {
        let mut key = Self::for_own_reader(token, of);
        key.text.push(':');
        key.text.push_str(&organization.to_string());
        key
    }

    /// A key for a value of an organization that is the same for all who may see
    /// it. Whether the caller may is looked up under [`CacheKey::for_reader`].
    pub fn for_organization(namespace: Namespace, organization: OrganizationId) -> Self {
        Self {
            text: format!("{KEY_VERSION}:{}:{organization}", namespace.name()),
            namespace,
            value: PhantomData,
        }
    }

    /// As [`CacheKey::for_organization`], for a value that also depends on a
    /// currency.
    pub fn for_organization_and_currency(
        namespace: Namespace,
        organization: OrganizationId,
        currency: Currency,
    ) -> Self {
        let mut key = Self::for_organization(namespace, organization);
        key.text.push(':');
        key.text.push_str(currency.code());
        key
    }

    /// As [`CacheKey::for_organization`], for a value that also depends on what was
    /// asked: see [`CacheKey::for_token_and_query`].
    pub fn for_organization_and_query(
        namespace: Namespace,
        organization: OrganizationId,
        query: &str,
    ) -> Self {
        let mut key = Self::for_organization(namespace, organization);
        key.text.push(':');
        key.text.push_str(&token::digest(query).to_base64());
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
    /// What an organization has subscribed to.
    Organization(OrganizationId),
    /// An organization's credit pool and what is allocated of it.
    Pool(OrganizationId),
    /// What an organization's meters have counted, and the zone of its days.
    Usage(OrganizationId),
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
            Self::Organization(organization) => {
                write!(f, "{KEY_VERSION}:generation:organization:{organization}")
            }
            Self::Pool(organization) => {
                write!(f, "{KEY_VERSION}:generation:pool:{organization}")
            }
            Self::Usage(organization) => {
                write!(f, "{KEY_VERSION}:generation:usage:{organization}")
            }
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
        let organization = OrganizationId::new(1, &[1; 10]);
        let other = OrganizationId::new(1, &[2; 10]);
        let (a, b) = (token::digest("a"), token::digest("b"));
        let usd: Currency = "USD".parse().expect("USD is a currency");
        let eur: Currency = "EUR".parse().expect("EUR is a currency");
        let keys = [
            CacheKey::<()>::for_token(Namespace::User, a).text,
            CacheKey::<()>::for_token(Namespace::User, b).text,
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, a, usd).text,
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, a, eur).text,
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, b, usd).text,
            CacheKey::<()>::for_token_and_query(Namespace::UsageSummary, a, "USD day").text,
            CacheKey::<()>::for_token_and_query(Namespace::UsageSummary, a, "EUR day").text,
            CacheKey::<()>::for_token_and_query(Namespace::UsageSummary, b, "USD day").text,
            CacheKey::<()>::for_token(Namespace::Permissions, a).text,
            CacheKey::<()>::for_own_reader(a, Namespace::UsageSummary).text,
            CacheKey::<()>::for_own_reader(b, Namespace::UsageSummary).text,
            CacheKey::<()>::for_reader(a, Namespace::Subscription, organization).text,
            CacheKey::<()>::for_reader(a, Namespace::Subscription, other).text,
            CacheKey::<()>::for_reader(a, Namespace::CreditPool, organization).text,
            CacheKey::<()>::for_reader(b, Namespace::CreditPool, organization).text,
            CacheKey::<()>::for_organization(Namespace::Subscription, organization).text,
            CacheKey::<()>::for_organization(Namespace::Subscription, other).text,
            CacheKey::<()>::for_organization_and_currency(Namespace::CreditPool, organization, usd)
                .text,
            CacheKey::<()>::for_organization_and_currency(Namespace::CreditPool, organization, eur)
                .text,
            CacheKey::<()>::for_organization_and_query(Namespace::UsageSummary, organization, "[]")
                .text,
            CacheKey::<()>::for_organization_and_query(
                Namespace::UsageSummary,
                organization,
                "[1]",
            )
            .text,
            CacheKey::<()>::for_organization_and_query(Namespace::UsageSummary, other, "[]").text,
            Scope::Auth(user).to_string(),
            Scope::Credits(user).to_string(),
            Scope::Organization(organization).to_string(),
            Scope::Pool(organization).to_string(),
            Scope::Pool(other).to_string(),
            Scope::Usage(organization).to_string(),
            Scope::Usage(other).to_string(),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "two things share the key {key}");
            assert!(key.starts_with("tp1:"), "{key} lacks the layout version");
        }
    }
}
