use shared::http::input::Whole;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::OrganizationId;
use shared::warming::WarmingMode;

/// Most organizations of a request: by fifties they are twenty statements of some milliseconds.
const MAX_LIMIT: i64 = 1_000;

/// Those, and the one before that says which organizations.
const MAX_STATEMENTS: u32 = 21;

/// What is to be warmed.
#[shared::body]
pub struct CacheWarming {
    pub mode: WarmingMode,
    /// How many organizations at most. Absent and null: 200.
    pub limit: Option<Whole<1, MAX_LIMIT>>,
    /// How many days back somebody was signed in, for profiles and predicted. Absent and null: 7.
    pub days: Option<Whole<1, 365>>,
    /// The organization after which to begin: last_organization_id of the answer before.
    pub after: Option<OrganizationId>,
}

/// What was warmed.
#[shared::answer]
pub struct CacheWarmed {
    /// Values that were read and cached.
    pub values: u32,
    /// Organizations of which values were looked for.
    pub organizations: u32,
    /// The last of them, in the order of their ids; what after said if there was none.
    pub last_organization_id: Option<OrganizationId>,
    /// Whether no organization follows.
    pub is_complete: bool,
}

pub const WARM: Operation = Operation::new(
    "cache-warmings",
    Verb::Post,
    "/api/v1/cache/warm",
    Access::Permission("cache:manage"),
)
.audited()
.statements(MAX_STATEMENTS)
.tag("cache")
.summary("Read what organizations have before anybody asks for it")
.details("Subscriptions and credit pools are read, by fifty organizations at a time, and cached as a reader would cache them. It stops after a second, or at the limit; ask again with after. Whatever is keyed by a token is not warmed, because the next token would not find it.")
.body::<CacheWarming>(r#"{"mode": "profiles", "limit": 200, "days": 7}"#)
.answers(&[Answer::json::<CacheWarmed>(
    200,
    "What was warmed.",
    r#"{"values": 350, "organizations": 200, "last_organization_id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "is_complete": false}"#,
)]);
