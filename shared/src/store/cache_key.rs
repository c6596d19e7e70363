//! Which things are cached, under which keys, for how long, and what makes a
//! cached thing stale.
//!
//! A [`CacheKey`] is tied to the type of its value, so that a balance cannot be
//! read as a session. A [`Scope`] names what a cached value depends on: each
//! value is cached under exactly one scope, and a write names every scope whose
//! values it can change. See `docs/cache.md` for why that is sound.

use std::fmt;
use std::marker::PhantomData;

use crate::ids::{BillingAccountId, OrganizationId, UserId};
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
    /// An account, for whoever may see it.
    Account,
}

impl Namespace {
    /// Every namespace. A new one is added here, with its patterns to [`PATTERNS`].
    pub const ALL: [Self; 8] = [
        Self::CreditBalance,
        Self::User,
        Self::Token,
        Self::Permissions,
        Self::Subscription,
        Self::CreditPool,
        Self::UsageSummary,
        Self::Account,
    ];

    /// The namespace with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|namespace| namespace.name() == name)
    }

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
            Self::Account => "account",
        }
    }

    /// Seconds that an entry may be served. Freshness does not depend on it,
    /// the scope's generation sees to that; it bounds how long a dead entry
    /// occupies the store.
    pub const fn ttl_secs(self) -> u32 {
        match self {
            Self::CreditBalance | Self::CreditPool => 60,
            Self::User | Self::Permissions => 900,
            Self::Token | Self::UsageSummary | Self::Subscription | Self::Account => 300,
        }
    }

    /// [`Namespace::ttl_secs`] in milliseconds.
    pub const fn ttl_millis(self) -> u64 {
        self.ttl_secs() as u64 * 1_000
    }
}

/// What a key has behind its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Token,
    TokenCurrency,
    TokenQuery,
    TokenNamespace,
    TokenNamespaceOrganization,
    Organization,
    OrganizationCurrency,
    OrganizationQuery,
    Account,
}

/// Every pattern of keys that there is, with the scopes under which its values are. By it the
/// look-ups are counted, and values are taken away.
pub const PATTERNS: [(&str, ScopeKind); 11] = [
    ("credit_balance:{token}:{currency}", ScopeKind::Credits),
    ("user:{token}", ScopeKind::Auth),
    ("token:{token}", ScopeKind::Auth),
    ("permissions:{token}", ScopeKind::Auth),
    ("permissions:{token}:{namespace}", ScopeKind::Auth),
    (
        "permissions:{token}:{namespace}:{organization}",
        ScopeKind::Auth,
    ),
    ("subscription:{organization}", ScopeKind::Organization),
    ("credit_pool:{organization}:{currency}", ScopeKind::Pool),
    ("usage_summary:{token}:{query}", ScopeKind::Credits),
    ("usage_summary:{organization}:{query}", ScopeKind::Usage),
    ("account:{account}", ScopeKind::Account),
];

/// Characters of a SHA-256 in a key.
const DIGEST_CHARS: usize = 43;

/// Whether a key of the store is one of this pattern.
pub fn has_pattern(key: &str, pattern: &str) -> bool {
    let Some(rest) = unversioned(key) else {
        return false;
    };
    let (mut parts, mut wanted) = (rest.split(':'), pattern.split(':'));
    loop {
        let fits = match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(part), Some("{token}" | "{query}")) => part.len() == DIGEST_CHARS,
            (Some(part), Some("{currency}")) => part.parse::<Currency>().is_ok(),
            (Some(part), Some("{namespace}")) => Namespace::named(part).is_some(),
            (Some(part), Some("{organization}")) => part.parse::<OrganizationId>().is_ok(),
            (Some(part), Some("{account}")) => part.parse::<BillingAccountId>().is_ok(),
            (Some(part), Some(name)) => part == name,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !fits {
            return false;
        }
    }
}

/// Whether a key is of this version of the layout. Others in the store are left alone.
pub fn is_ours(key: &str) -> bool {
    unversioned(key).is_some()
}

/// What a key of this version of the layout has behind the version.
fn unversioned(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_VERSION)?.strip_prefix(':')
}

/// The key of one cached value of type `V`.
#[derive(Debug, Clone)]
pub struct CacheKey<V> {
    text: String,
    namespace: Namespace,
    shape: Shape,
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
            shape: Shape::Token,
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
        key.push(currency.code(), Shape::TokenCurrency);
        key
    }

    /// As [`CacheKey::for_token`], for a value that also depends on what was asked.
    /// `query` is what the request was understood as, and never what was sent, so
    /// that two ways to ask the same share an entry. It can have any length: its
    /// SHA-256 is in the key.
    pub fn for_token_and_query(namespace: Namespace, token: TokenDigest, query: &str) -> Self {
        let mut key = Self::for_token(namespace, token);
        key.push(&token::digest(query).to_base64(), Shape::TokenQuery);
        key
    }

    /// A key for the right of a token to see what its own organization has cached
    /// under `of`, and for which organization that is.
    pub fn for_own_reader(token: TokenDigest, of: Namespace) -> Self {
        let mut key = Self::for_token(Namespace::Permissions, token);
        key.push(of.name(), Shape::TokenNamespace);
        key
    }

    /// A key for the right of a token to see what an organization has cached under
    /// `of`. It is served only together with the right of the very token that asks.
    pub fn for_reader(token: TokenDigest, of: Namespace, organization: OrganizationId) -> Self {
        let mut key = Self::for_own_reader(token, of);
        key.push(&organization.to_string(), Shape::TokenNamespaceOrganization);
        key
    }

    /// A key for a value of an organization that is the same for all who may see
    /// it. Whether the caller may is looked up under [`CacheKey::for_reader`].
    pub fn for_organization(namespace: Namespace, organization: OrganizationId) -> Self {
        Self {
            text: format!("{KEY_VERSION}:{}:{organization}", namespace.name()),
            namespace,
            shape: Shape::Organization,
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
        key.push(currency.code(), Shape::OrganizationCurrency);
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
        key.push(&token::digest(query).to_base64(), Shape::OrganizationQuery);
        key
    }

    /// A key for an account, which is the same for all who may see it. Whether the caller
    /// may is looked up under [`CacheKey::for_own_reader`].
    pub fn for_account(namespace: Namespace, account: BillingAccountId) -> Self {
        Self {
            text: format!("{KEY_VERSION}:{}:{account}", namespace.name()),
            namespace,
            shape: Shape::Account,
            value: PhantomData,
        }
    }

    fn push(&mut self, part: &str, shape: Shape) {
        self.text.push(':');
        self.text.push_str(part);
        self.shape = shape;
    }

    /// The pattern of the key, one of [`PATTERNS`]: what it is counted by.
    pub const fn pattern(&self) -> &'static str {
        match (self.namespace, self.shape) {
            (Namespace::CreditBalance, Shape::TokenCurrency) => "credit_balance:{token}:{currency}",
            (Namespace::User, Shape::Token) => "user:{token}",
            (Namespace::Token, Shape::Token) => "token:{token}",
            (Namespace::Permissions, Shape::Token) => "permissions:{token}",
            (Namespace::Permissions, Shape::TokenNamespace) => "permissions:{token}:{namespace}",
            (Namespace::Permissions, Shape::TokenNamespaceOrganization) => {
                "permissions:{token}:{namespace}:{organization}"
            }
            (Namespace::Subscription, Shape::Organization) => "subscription:{organization}",
            (Namespace::CreditPool, Shape::OrganizationCurrency) => {
                "credit_pool:{organization}:{currency}"
            }
            (Namespace::UsageSummary, Shape::TokenQuery) => "usage_summary:{token}:{query}",
            (Namespace::UsageSummary, Shape::OrganizationQuery) => {
                "usage_summary:{organization}:{query}"
            }
            (Namespace::Account, Shape::Account) => "account:{account}",
            // A key that nobody listed is counted, and can be taken away by its owner only.
            (namespace, _) => namespace.name(),
        }
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
    /// An account.
    Account(BillingAccountId),
}

impl Scope {
    /// Whether it is that of an account.
    pub const fn is_account(&self) -> bool {
        matches!(self, Self::Account(_))
    }

    /// Everything that a change to a user's sign-in can make stale.
    pub const fn all_of_user(user: UserId) -> [Self; 2] {
        [Self::Auth(user), Self::Credits(user)]
    }

    /// Every scope of an organization, its own account's among them.
    pub const fn all_of_organization(organization: OrganizationId) -> [Self; 4] {
        [
            Self::Organization(organization),
            Self::Pool(organization),
            Self::Usage(organization),
            Self::Account(BillingAccountId::from_uuid(organization.as_uuid())),
        ]
    }

    /// Whose scope it is.
    pub const fn kind(&self) -> ScopeKind {
        match self {
            Self::Auth(_) => ScopeKind::Auth,
            Self::Credits(_) => ScopeKind::Credits,
            Self::Organization(_) => ScopeKind::Organization,
            Self::Pool(_) => ScopeKind::Pool,
            Self::Usage(_) => ScopeKind::Usage,
            Self::Account(_) => ScopeKind::Account,
        }
    }
}

/// The store's key of the scope's generation.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_VERSION}:{}:", self.kind().label())?;
        match self {
            Self::Auth(user) | Self::Credits(user) => user.fmt(f),
            Self::Organization(organization)
            | Self::Pool(organization)
            | Self::Usage(organization) => organization.fmt(f),
            Self::Account(account) => account.fmt(f),
        }
    }
}

/// A kind of scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// [`Scope::Auth`].
    Auth,
    /// [`Scope::Credits`].
    Credits,
    /// [`Scope::Organization`].
    Organization,
    /// [`Scope::Pool`].
    Pool,
    /// [`Scope::Usage`].
    Usage,
    /// [`Scope::Account`].
    Account,
}

impl ScopeKind {
    /// What the keys of its states begin with, behind the version; what they are counted by.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Auth => "generation:auth",
            Self::Credits => "generation:credits",
            Self::Organization => "generation:organization",
            Self::Pool => "generation:pool",
            Self::Usage => "generation:usage",
            Self::Account => "generation:account",
        }
    }

    /// Whether a key of the store is that of a state of this kind.
    pub fn has_state(self, key: &str) -> bool {
        unversioned(key)
            .and_then(|rest| rest.strip_prefix(self.label()))
            .is_some_and(|rest| rest.starts_with(':'))
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
        let account = BillingAccountId::new(1, &[1; 10]);
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
            CacheKey::<()>::for_account(Namespace::Account, account).text,
            Scope::Account(account).to_string(),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "two things share the key {key}");
            assert!(is_ours(key), "{key} lacks the layout version");
        }
    }

    #[test]
    fn every_key_has_its_pattern_and_no_other() {
        let organization = OrganizationId::new(1, &[1; 10]);
        let token = token::digest("a");
        let usd: Currency = "USD".parse().expect("USD is a currency");
        let keys = [
            CacheKey::<()>::for_token_and_currency(Namespace::CreditBalance, token, usd),
            CacheKey::for_token(Namespace::User, token),
            CacheKey::for_token(Namespace::Token, token),
            CacheKey::for_token(Namespace::Permissions, token),
            CacheKey::for_own_reader(token, Namespace::UsageSummary),
            CacheKey::for_reader(token, Namespace::CreditPool, organization),
            CacheKey::for_organization(Namespace::Subscription, organization),
            CacheKey::for_organization_and_currency(Namespace::CreditPool, organization, usd),
            CacheKey::for_token_and_query(Namespace::UsageSummary, token, "[]"),
            CacheKey::for_organization_and_query(Namespace::UsageSummary, organization, "[]"),
            CacheKey::for_account(Namespace::Account, BillingAccountId::new(1, &[1; 10])),
        ];
        assert_eq!(keys.len(), PATTERNS.len());
        for key in keys {
            let fitting: Vec<_> = PATTERNS
                .iter()
                .map(|(pattern, _)| *pattern)
                .filter(|pattern| has_pattern(key.as_str(), pattern))
                .collect();
            assert_eq!(fitting, [key.pattern()], "{}", key.as_str());
        }
        for namespace in Namespace::ALL {
            let mut patterns = PATTERNS
                .iter()
                .map(|(pattern, _)| pattern.split(':').next());
            let is_listed = patterns.any(|name| name == Some(namespace.name()));
            assert!(is_listed, "{namespace:?} has no pattern");
        }
    }

    #[test]
    fn what_is_no_key_of_a_value_has_no_pattern() {
        let state = Scope::Auth(UserId::new(1, &[1; 10])).to_string();
        let long = format!("tp1:user:{}", "a".repeat(DIGEST_CHARS + 1));
        let other = format!("tp2:user:{}", "a".repeat(DIGEST_CHARS));
        let table = [
            state.as_str(),
            &long,
            &other,
            "tp1:user:",
            "tp1:user",
            "user",
            "",
            "tp1:health",
            "tp1:subscription:org_1",
        ];
        for key in table {
            let pattern = PATTERNS
                .iter()
                .find(|(pattern, _)| has_pattern(key, pattern));
            assert_eq!(pattern, None, "{key}");
        }
        assert!(ScopeKind::Auth.has_state(&state));
        assert!(!ScopeKind::Credits.has_state(&state));
        assert!(!is_ours(&other));
    }
}
