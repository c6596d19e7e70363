use std::fmt;

use shared::http::input::{self, FromText, Invalid};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::problem::Problem;
use shared::ids::{OrganizationId, UserId};
use shared::store::cache_key::{Namespace, PATTERNS, Scope};
use shared::store::cache_removal::Removed;

/// Longest pattern that is looked at. The longest that there is has 46 characters.
const MAX_PATTERN_CHARS: usize = 200;

/// A namespace, as a path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheNamespace(pub Namespace);

impl FromText for CacheNamespace {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let namespace = Namespace::named(text).map(Self);
        namespace.ok_or_else(|| Invalid::new("invalid", "must be a namespace of the cache"))
    }
}

shared::describe!(CacheNamespace as "CacheNamespace", {
    "type": "string",
    "description": "A namespace of the cache; GET /api/v1/cache/stats lists them.",
    "examples": ["credit_balance"],
});

impl CacheNamespace {
    /// The patterns of the namespace, or the one that was asked for.
    pub fn patterns(self, wanted: Option<&WantedPattern>) -> Vec<&'static str> {
        let patterns = PATTERNS.iter().map(|(pattern, _)| *pattern);
        patterns
            .filter(|pattern| pattern.split(':').next() == Some(self.0.name()))
            .filter(|pattern| wanted.is_none_or(|wanted| **wanted == **pattern))
            .collect()
    }
}

shared::text_type! {
    /// A pattern of keys.
    WantedPattern, |text| input::length(text, 1..=MAX_PATTERN_CHARS).map(str::to_owned), {
        "type": "string", "minLength": 1, "maxLength": 200,
        "description": "A pattern of keys, as GET /api/v1/cache/stats lists them.",
        "examples": ["usage_summary:{organization}:{query}"],
    }
}

#[shared::body(query)]
pub struct CacheEntriesQuery {
    /// Only values whose keys are of this pattern, which is one of the namespace.
    pub pattern: Option<WantedPattern>,
}

/// Whose values they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOwner {
    User(UserId),
    Organization(OrganizationId),
}

impl FromText for CacheOwner {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text.starts_with(UserId::PREFIX) {
            return UserId::from_text(text).map(Self::User);
        }
        OrganizationId::from_text(text).map(Self::Organization)
    }
}

shared::describe!(CacheOwner as "CacheOwner", {
    "type": "string", "pattern": "^(usr|org)_[0-9a-f]{32}$",
    "description": "The id of a user, or of an organization.",
    "examples": ["usr_0199a2c4e1f07b3c8d5e6f708192a3b4"],
});

impl fmt::Display for CacheOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Organization(id) => id.fmt(f),
        }
    }
}

impl CacheOwner {
    /// The scopes under which the owner's values are.
    pub fn scopes(self) -> Vec<Scope> {
        match self {
            Self::User(id) => Scope::all_of_user(id).into(),
            Self::Organization(id) => Scope::all_of_organization(id).into(),
        }
    }
}

/// No namespace has the name.
pub fn namespace_not_found() -> Problem {
    Problem::not_found("The cache has no namespace with this name.")
}

/// No owner can have the id.
pub fn owner_not_found() -> Problem {
    Problem::not_found("This is no id of a user, nor of an organization.")
}

/// What was taken away.
#[shared::answer]
pub struct CacheRemoval {
    /// Entries of the store: values, and what is known of those that they depend on.
    pub entries: u32,
    /// Whether nothing of it is served any more that was read before the request. Otherwise ask
    /// again: a large store takes several calls.
    pub is_complete: bool,
}

impl From<Removed> for CacheRemoval {
    fn from(removed: Removed) -> Self {
        Self {
            entries: removed.entries,
            is_complete: removed.is_complete,
        }
    }
}

pub const OF_NAMESPACE: Operation = Operation::new(
    "cache-entries-namespace",
    Verb::Delete,
    "/api/v1/cache/{namespace}",
    Access::Permission("cache:manage"),
)
.audited()
.tag("cache")
.summary("Take away what a namespace has cached")
.details("Once it is complete, no value is served that was read from Postgres before this request. What depends on the same users or organizations is read again too. The event is in the platform's audit log before anything is taken away.")
.path_parameter::<CacheNamespace>("namespace")
.query::<CacheEntriesQuery>()
.answers(&[Answer::json::<CacheRemoval>(
    200,
    "What was taken away.",
    r#"{"entries": 5120, "is_complete": true}"#,
)]);

pub const OF_OWNER: Operation = Operation::new(
    "cache-entries-owner",
    Verb::Delete,
    "/api/v1/cache/owners/{id}",
    Access::Permission("cache:manage"),
)
.audited()
.tag("cache")
.summary("Take away what is cached of a user or an organization")
.details("No value of theirs is served any more that was read from Postgres before this request. The event is in the platform's audit log before anything is taken away.")
.path_parameter::<CacheOwner>("id")
.answers(&[Answer::json::<CacheRemoval>(
    200,
    "What was taken away.",
    r#"{"entries": 2, "is_complete": true}"#,
)]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_namespaces() {
        let wanted = |text| WantedPattern::from_text(text).ok();
        let table = [
            ("user", None, vec!["user:{token}"]),
            (
                "usage_summary",
                None,
                vec![
                    "usage_summary:{token}:{query}",
                    "usage_summary:{organization}:{query}",
                ],
            ),
            (
                "usage_summary",
                wanted("usage_summary:{organization}:{query}"),
                vec!["usage_summary:{organization}:{query}"],
            ),
            ("usage_summary", wanted("user:{token}"), vec![]),
            ("user", wanted("user"), vec![]),
        ];
        for (namespace, pattern, expected) in table {
            let namespace = CacheNamespace::from_text(namespace).expect("it is one");
            assert_eq!(namespace.patterns(pattern.as_ref()), expected);
        }
        for name in ["", "nothing", "stats", "User", "user:{token}"] {
            assert!(CacheNamespace::from_text(name).is_err(), "{name}");
        }
    }

    #[test]
    fn owners() {
        let user = UserId::new(1, &[1; 10]);
        let organization = OrganizationId::new(1, &[1; 10]);
        let read = |text: &str| CacheOwner::from_text(text).ok();
        assert_eq!(read(&user.to_string()), Some(CacheOwner::User(user)));
        let owner = Some(CacheOwner::Organization(organization));
        assert_eq!(read(&organization.to_string()), owner);
        for text in ["", "usr_", "org_1", "plan_0199a2c4e1f07b3c8d5e6f708192a3b4"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
