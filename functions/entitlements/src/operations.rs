use shared::entitlements::{EntitlementSubject, EntitlementType, FeatureName};
use shared::http::input::{Change, Invalid, PositiveQuantity, Reader};
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::http::pagination::{Cursor, PageLimit};
use shared::http::time::{Moment, Time};
use shared::ids::{EntitlementId, OrganizationId};
use shared::metering::{MeterName, UsageQuantity};

/// After how long the usage begins at zero again.
#[shared::body]
#[derive(Copy, PartialEq, Eq, shared::serde::Serialize, shared::serde::Deserialize)]
#[serde(crate = "shared::serde", rename_all = "snake_case")]
pub enum EntitlementPeriod {
    Day,
    Month,
    Year,
    Never,
}

impl EntitlementPeriod {
    /// The name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
            Self::Never => "never",
        }
    }
}

/// A feature that a subject, or an organization, may use.
#[shared::answer(read)]
pub struct Entitlement {
    id: EntitlementId,
    organization_id: OrganizationId,
    /// Null for the organization itself.
    subject: Option<EntitlementSubject>,
    feature: FeatureName,
    r#type: EntitlementType,
    /// The meter that counts; null for a boolean one.
    meter: Option<MeterName>,
    /// How much may be used in a period; null for a boolean one.
    limit: Option<UsageQuantity>,
    /// Null for a boolean one.
    period: Option<EntitlementPeriod>,
    /// Whether use is allowed beyond the limit; null for a boolean one.
    is_soft: Option<bool>,
    /// From then on there is no access.
    expires_at: Option<Time>,
    /// When it was last reset.
    reset_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    /// Null while it is not revoked.
    revoked_at: Option<Time>,
}

#[shared::answer(read)]
pub struct EntitlementShown {
    entitlement: Entitlement,
}

#[shared::answer]
pub struct EntitlementPage {
    pub entitlements: Vec<Entitlement>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<Cursor>,
}

#[shared::answer(read)]
pub struct EntitlementReset {
    entitlement: Entitlement,
    /// What had been used of the period until the reset, or since the reset before.
    used_before: UsageQuantity,
}

#[shared::body(query)]
pub struct EntitlementsListQuery {
    /// Those of one subject.
    pub subject: Option<EntitlementSubject>,
    /// Those to one feature.
    pub feature: Option<FeatureName>,
    /// Another organization than the credential's, for holders of entitlements:grant.
    pub organization_id: Option<OrganizationId>,
    /// Items in a page.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("default" = 50)))]
    pub limit: Option<PageLimit>,
    /// The next_cursor of an earlier page of this list; the first page when absent.
    pub cursor: Option<Cursor>,
}

/// Whose entitlement the path names.
#[shared::body(query)]
pub struct EntitlementOwnerQuery {
    /// Another organization than the credential's, for holders of entitlements:grant.
    pub organization_id: Option<OrganizationId>,
}

/// An entitlement, as asked for.
#[shared::body(check)]
pub struct NewEntitlement {
    /// Another organization than the credential's. Required without a subject.
    pub organization_id: Option<OrganizationId>,
    /// Absent for the organization itself.
    pub subject: Option<EntitlementSubject>,
    pub feature: FeatureName,
    pub r#type: EntitlementType,
    /// Required for a metered one: a meter of the organization that counts or sums up and
    /// is not archived. A boolean one has none.
    pub meter: Option<MeterName>,
    /// Required for a metered one; a boolean one has none.
    pub limit: Option<PositiveQuantity>,
    /// Required for a metered one; a boolean one has none.
    pub period: Option<EntitlementPeriod>,
    /// Whether use is allowed beyond the limit; not when absent. A boolean one has none.
    pub is_soft: Option<bool>,
    /// Later than now; absent for one that does not expire.
    pub expires_at: Option<Moment>,
}

impl NewEntitlement {
    fn check(&self, reader: &mut Reader) {
        let is_metered = self.r#type == EntitlementType::Metered;
        for (name, is_given) in [
            ("meter", self.meter.is_some()),
            ("limit", self.limit.is_some()),
            ("period", self.period.is_some()),
        ] {
            if is_metered && !is_given {
                reader.refuse_member(name, Invalid::new("required", "is required"));
            }
            if !is_metered && is_given {
                reader.refuse_member(name, not_boolean());
            }
        }
        if !is_metered && self.is_soft.is_some() {
            reader.refuse_member("is_soft", not_boolean());
        }
    }
}

fn not_boolean() -> Invalid {
    Invalid::new("not_allowed", "a boolean entitlement has none")
}

/// What becomes of an entitlement.
#[shared::body]
pub struct EntitlementChange {
    /// Null leaves it as it is.
    pub limit: Option<PositiveQuantity>,
    /// Null leaves it as it is.
    pub is_soft: Option<bool>,
    /// Later than now; null lets it expire no more.
    pub expires_at: Change<Moment>,
}

shared::refusals! {
    ENTITLEMENT_EXISTS = 409 "entitlement_exists", "There is an entitlement to this feature",
        "the subject has an entitlement to this feature that has not expired.";
    ENTITLEMENT_LIMIT = 409 "entitlement_limit", "The organization has as many entitlements as it can have",
        "100,000 of the organization are current.";
    ENTITLEMENT_ENDED = 409 "entitlement_ended", "The entitlement has ended",
        "it was revoked, or replaced after it expired.";
    ENTITLEMENT_NOT_METERED = 409 "entitlement_not_metered", "Nothing is counted of the entitlement",
        "a boolean one has no limit, and nothing to reset.";
}

pub const LIST: Operation = Operation::new(
    "entitlements-list",
    Verb::Get,
    "/api/v1/entitlements",
    Access::Permission("entitlements:read"),
)
.tag("entitlements")
.summary("List entitlements")
.details("Newest first, those that have expired included, and without those that were revoked or replaced.")
.query::<EntitlementsListQuery>()
.answers(&[Answer::json::<EntitlementPage>(
    200,
    "A page of entitlements.",
    r#"{"entitlements": [{"id": "ent_0199a2c4e2447b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "subject": "cus_42", "feature": "tokens", "type": "metered", "meter": "tokens", "limit": "1000000", "period": "month", "is_soft": false, "expires_at": null, "reset_at": null, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "revoked_at": null}], "next_cursor": null}"#,
)]);

pub const CREATE: Operation = Operation::new(
    "entitlements-create",
    Verb::Post,
    "/api/v1/entitlements",
    Access::Permission("entitlements:manage"),
)
.audited()
.tag("entitlements")
.summary("Give an entitlement")
.details("Without a subject the organization itself is given the feature: that, and another organization's subjects, need entitlements:grant. A subject has one entitlement to a feature; one that has expired makes room for the next.")
.body::<NewEntitlement>(
    r#"{"feature": "tokens", "subject": "cus_42", "type": "metered", "meter": "tokens", "limit": "1000000", "period": "month"}"#,
)
.answers(&[Answer::json::<EntitlementShown>(
    201,
    "The entitlement.",
    r#"{"entitlement": {"id": "ent_0199a2c4e2447b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "subject": "cus_42", "feature": "tokens", "type": "metered", "meter": "tokens", "limit": "1000000", "period": "month", "is_soft": false, "expires_at": null, "reset_at": null, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "revoked_at": null}}"#,
)])
.refuses(&[&ENTITLEMENT_EXISTS, &ENTITLEMENT_LIMIT]);

pub const READ: Operation = Operation::new(
    "entitlements-read",
    Verb::Get,
    "/api/v1/entitlements/{id}",
    Access::Permission("entitlements:read"),
)
.tag("entitlements")
.summary("Show an entitlement")
.details("Those that were revoked are shown too.")
.path_parameter::<EntitlementId>("id")
.query::<EntitlementOwnerQuery>()
.answers(&[Answer::json::<EntitlementShown>(
    200,
    "The entitlement.",
    r#"{"entitlement": {"id": "ent_0199a2c4e2447b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "subject": "cus_42", "feature": "tokens", "type": "metered", "meter": "tokens", "limit": "1000000", "period": "month", "is_soft": false, "expires_at": null, "reset_at": null, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "revoked_at": null}}"#,
)]);

pub const CHANGE: Operation = Operation::new(
    "entitlements-change",
    Verb::Patch,
    "/api/v1/entitlements/{id}",
    Access::Permission("entitlements:manage"),
)
.audited()
.tag("entitlements")
.summary("Change an entitlement")
.details("What the organization itself was given, and another organization's, needs entitlements:grant. What is absent stays as it is. The new limit holds for the current period.")
.path_parameter::<EntitlementId>("id")
.query::<EntitlementOwnerQuery>()
.body::<EntitlementChange>(r#"{"limit": "2000000"}"#)
.answers(&[Answer::json::<EntitlementShown>(
    200,
    "The entitlement.",
    r#"{"entitlement": {"id": "ent_0199a2c4e2447b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "subject": "cus_42", "feature": "tokens", "type": "metered", "meter": "tokens", "limit": "2000000", "period": "month", "is_soft": false, "expires_at": null, "reset_at": null, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "revoked_at": null}}"#,
)])
.refuses(&[&ENTITLEMENT_ENDED, &ENTITLEMENT_NOT_METERED]);

pub const REVOKE: Operation = Operation::new(
    "entitlements-revoke",
    Verb::Delete,
    "/api/v1/entitlements/{id}",
    Access::Permission("entitlements:manage"),
)
.audited()
.tag("entitlements")
.summary("Revoke an entitlement")
.details("What the organization itself was given, and another organization's, needs entitlements:grant. The next check has no access. Doing it again changes nothing.")
.path_parameter::<EntitlementId>("id")
.query::<EntitlementOwnerQuery>()
.answers(&[Answer::json::<EntitlementShown>(
    200,
    "The entitlement.",
    r#"{"entitlement": {"id": "ent_0199a2c4e2447b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "subject": "cus_42", "feature": "tokens", "type": "metered", "meter": "tokens", "limit": "1000000", "period": "month", "is_soft": false, "expires_at": null, "reset_at": null, "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "revoked_at": "2026-11-22T09:30:00.123456Z"}}"#,
)]);

pub const RESET: Operation = Operation::new(
    "entitlements-reset",
    Verb::Post,
    "/api/v1/entitlements/{id}/reset",
    Access::Permission("entitlements:manage"),
)
.audited()
.tag("entitlements")
.summary("Let usage count from now")
.details("What the organization itself was given, and another organization's, needs entitlements:grant. What was used of the current period until now is subtracted until the period ends. The same Idempotency-Key resets an entitlement once.")
.path_parameter::<EntitlementId>("id")
.query::<EntitlementOwnerQuery>()
.idempotent()
.answers(&[Answer::json::<EntitlementReset>(
    200,
    "Reset, now or by an earlier request with this key.",
    r#"{"entitlement": {"id": "ent_0199a2c4e2447b3c8d5e6f708192a3b4", "organization_id": "org_0199a2c4e2447b3c8d5e6f708192a3b4", "subject": "cus_42", "feature": "tokens", "type": "metered", "meter": "tokens", "limit": "1000000", "period": "month", "is_soft": false, "expires_at": null, "reset_at": "2026-11-22T09:30:00.123456Z", "created_at": "2026-11-21T09:30:00.123456Z", "updated_at": "2026-11-21T09:30:00.123456Z", "revoked_at": null}, "used_before": "812000"}"#,
)])
.refuses(&[&ENTITLEMENT_ENDED, &ENTITLEMENT_NOT_METERED]);
