use shared::http::input::{self, Invalid};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Time;

shared::text_type! {
    /// Hits of all look-ups that the store answered, in percent.
    HitRate, |text| Ok::<_, Invalid>(text.to_owned()), {
        "type": "string", "pattern": "^[0-9]{1,3}[.][0-9]$",
        "description": "Percent, with one decimal, rounded down.", "examples": ["97.3"],
    }
}

shared::text_type! {
    /// The pattern of the keys of some values.
    CachePattern, |text| input::length(text, 1..=200).map(str::to_owned), {
        "type": "string", "minLength": 1,
        "description": "The namespace, and what else is in the keys, with names in braces for what differs; or what the store was asked for besides.",
        "examples": ["credit_balance:{token}:{currency}"],
    }
}

shared::text_type! {
    /// What patterns begin with.
    CacheNamespaceName, |text| input::length(text, 1..=200).map(str::to_owned), {
        "type": "string", "minLength": 1,
        "description": "What patterns begin with.", "examples": ["credit_balance"],
    }
}

/// How often something happened.
#[shared::answer]
#[derive(Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Look-ups that found a value which could be served.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Look-ups that were not made, because the store was away.
    pub bypasses: u64,
    /// Operations of the store that failed, or took too long. They are not only look-ups.
    pub errors: u64,
    /// hits of hits and misses; null when there were none.
    pub hit_rate: Option<HitRate>,
}

#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct CachePatternFigures {
    pub pattern: CachePattern,
    #[serde(flatten)]
    pub figures: CacheFigures,
}

#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct CacheNamespaceFigures {
    pub namespace: CacheNamespaceName,
    #[serde(flatten)]
    pub figures: CacheFigures,
    pub patterns: Vec<CachePatternFigures>,
}

#[shared::answer]
#[derive(PartialEq, Eq)]
pub enum CachePeriodName {
    /// This hour of the clock, and the one before.
    LastHour,
    /// This hour of the clock, and the 23 before.
    LastDay,
    /// Since anything was counted.
    SinceStart,
}

#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct CachePeriod {
    pub period: CachePeriodName,
    /// When the period began; null for that since the start.
    pub since: Option<Time>,
    pub total: CacheFigures,
    pub namespaces: Vec<CacheNamespaceFigures>,
}

#[shared::answer]
#[derive(Copy, PartialEq, Eq)]
pub enum LifetimeAdvice {
    /// Fewer than 1,000 look-ups say nothing.
    TooFewLookUps,
    Keep,
    /// Of the look-ups, 5% or more found a value that was current and had just expired.
    Longer,
    /// Of the hits, fewer than 1% were in the second half of the lifetime.
    Shorter,
}

/// What the last day says about how long values should live. Nothing is changed by it.
#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct CacheLifetime {
    pub namespace: CacheNamespaceName,
    /// How long values live now.
    pub ttl_secs: u32,
    /// Hits in the second half of that time.
    pub late_hits: u64,
    /// Misses of values that would have been served if they lived longer.
    pub expired_misses: u64,
    pub advice: LifetimeAdvice,
}

#[shared::answer]
#[derive(PartialEq, Eq)]
pub struct CacheStats {
    pub periods: Vec<CachePeriod>,
    pub lifetimes: Vec<CacheLifetime>,
}

#[shared::body(query)]
pub struct CacheHealthQuery {
    /// Whether to count the keys of the store. To list them keeps a large Redis from everything
    /// else for as long as it takes.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = false)))]
    pub keys: Option<bool>,
}

#[shared::answer]
pub enum CacheProbeStatus {
    Available,
    /// It does not answer in time, or does not keep what it is given.
    Unavailable,
}

#[shared::answer]
pub struct CacheProbe {
    pub status: CacheProbeStatus,
    /// How long it took to store a value, to find it and to take it away; null while the store is
    /// unavailable.
    pub latency_micros: Option<u32>,
    /// How many keys the store has, others' included; null if that was not asked for, or if it does
    /// not list them in time.
    pub keys: Option<u32>,
}

pub const STATS: Operation = Operation::new(
    "cache-stats",
    Verb::Get,
    "/api/v1/cache/stats",
    Access::Permission("cache:read"),
)
.tag("cache")
.summary("Show how often the cache was hit")
.details("By namespace and by pattern of keys, as the components have counted. What an instance has counted in the last seconds may be missing.")
.answers(&[Answer::json::<CacheStats>(
    200,
    "What was counted.",
    r#"{"periods": [{"period": "last_hour", "since": "2026-11-21T08:00:00.000000Z", "total": {"hits": 973, "misses": 27, "bypasses": 0, "errors": 0, "hit_rate": "97.3"}, "namespaces": [{"namespace": "user", "hits": 973, "misses": 27, "bypasses": 0, "errors": 0, "hit_rate": "97.3", "patterns": [{"pattern": "user:{token}", "hits": 973, "misses": 27, "bypasses": 0, "errors": 0, "hit_rate": "97.3"}]}]}], "lifetimes": [{"namespace": "user", "ttl_secs": 900, "late_hits": 300, "expired_misses": 2, "advice": "keep"}]}"#,
)]);

pub const HEALTH: Operation = Operation::new(
    "cache-health",
    Verb::Get,
    "/api/v1/cache/health",
    Access::Permission("cache:read"),
)
.tag("cache")
.summary("Show whether the cache answers")
.details(
    "A value is stored, found and taken away. The store does not tell how much memory it takes.",
)
.query::<CacheHealthQuery>()
.answers(&[Answer::json::<CacheProbe>(
    200,
    "How the store does.",
    r#"{"status": "available", "latency_micros": 412, "keys": 5120}"#,
)]);
