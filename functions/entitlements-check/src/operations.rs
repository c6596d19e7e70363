use shared::entitlements::{EntitlementSubject, EntitlementType, FeatureName};
use shared::http::input::UnsignedQuantity;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::time::Time;
use shared::metering::UsageQuantity;

/// What is asked.
#[shared::body(query)]
pub struct EntitlementsCheckQuery {
    /// The feature.
    pub feature: FeatureName,
    /// Whose entitlement; absent for what the organization itself was given.
    pub subject: Option<EntitlementSubject>,
    /// How much is about to be used. Absent or 0: whether anything is left.
    pub quantity: Option<UnsignedQuantity>,
}

/// Why there is no access. limit_reached: nothing is left of the period. would_exceed: less
/// is left than the quantity. not_entitled: there is none, or it was revoked.
#[shared::answer(read)]
pub enum EntitlementRefusal {
    NotEntitled,
    LimitReached,
    WouldExceed,
    Expired,
}

/// Whether a feature may be used now. What there is nothing of is null.
#[shared::answer(read)]
pub struct EntitlementVerdict {
    feature: FeatureName,
    /// Null when the organization's own was asked for.
    subject: Option<EntitlementSubject>,
    has_access: bool,
    /// Why there is no access; null with access.
    reason: Option<EntitlementRefusal>,
    /// Null without an entitlement.
    r#type: Option<EntitlementType>,
    /// How much may be used in the period; null for a boolean one, and without an entitlement.
    limit: Option<UsageQuantity>,
    /// What was used of the period; below zero when a sum is; null for a boolean one, and
    /// without an entitlement.
    used: Option<UsageQuantity>,
    /// What is left of the limit; null for a boolean one, and without an entitlement.
    remaining: Option<UsageQuantity>,
    /// What was used beyond the limit; null for a boolean one, and without an entitlement.
    overage: Option<UsageQuantity>,
    /// Null when the usage never begins anew; null for a boolean one, and without an
    /// entitlement.
    period_started_at: Option<Time>,
    /// When the period ends; null when it never does; null for a boolean one, and without
    /// an entitlement.
    resets_at: Option<Time>,
}

pub const CHECK: Operation = Operation::new(
    "entitlements-check",
    Verb::Get,
    "/api/v1/entitlements/check",
    Access::Permission("entitlements:read"),
)
.tag("entitlements")
.summary("Check whether a feature may be used now")
.details("Of the credential's organization, and exact to the last event that was acknowledged. It reserves nothing: two checks at once may both allow what only one of them should use. At most one query.")
.query::<EntitlementsCheckQuery>()
.answers(&[Answer::json::<EntitlementVerdict>(
    200,
    "Whether there is access, and why not. Without an entitlement too.",
    r#"{"feature": "tokens", "subject": "cus_42", "has_access": true, "reason": null, "type": "metered", "limit": "1000000", "used": "812000", "remaining": "188000", "overage": "0", "period_started_at": "2026-11-01T00:00:00.000000Z", "resets_at": "2026-12-01T00:00:00.000000Z"}"#,
)]);
