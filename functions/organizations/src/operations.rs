use shared::http::input::Invalid;
use shared::http::input::Reader;
use shared::http::operation::{Access, Answer, Operation, Verb};
use shared::ids::OrganizationId;
use shared::organizations::{Organization, OrganizationName, TimeZone};

#[shared::answer(read)]
pub struct OrganizationList {
    pub organizations: Vec<Organization>,
}

/// What a new organization is called.
#[shared::body]
pub struct NewOrganization {
    pub name: OrganizationName,
}

/// What becomes of an organization. What is absent stays as it is.
#[shared::body(check)]
#[cfg_attr(not(target_arch = "wasm32"), schemars(extend("minProperties" = 1)))]
pub struct OrganizationChange {
    pub name: Option<OrganizationName>,
    pub time_zone: Option<TimeZone>,
}

impl OrganizationChange {
    /// One of them at least: without a time zone it is the name that is missing.
    fn check(&self, reader: &mut Reader) {
        if self.name.is_none() && self.time_zone.is_none() {
            reader.refuse_member("name", Invalid::new("required", "is required"));
        }
    }
}

shared::refusals! {
    ORGANIZATION_LIMIT = 409 "organization_limit", "You own as many organizations as one can",
        "the user owns 100 organizations.";
}

pub const LIST: Operation = Operation::new(
    "organizations",
    Verb::Get,
    "/api/v1/organizations",
    Access::Session,
)
.tag("organizations")
.summary("List one's organizations")
.details("The newest 100 memberships of the session's user.")
.answers(&[Answer::json::<OrganizationList>(
    200,
    "The organizations, the latest joined first.",
    r#"{"organizations": [{"id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "name": "Analytical Engines", "role": "owner", "time_zone": "Europe/Berlin", "created_at": "2026-11-21T09:30:00.123456Z"}]}"#,
)]);

pub const CREATE: Operation = Operation::new(
    "organizations-create",
    Verb::Post,
    "/api/v1/organizations",
    Access::Session,
)
.audited()
.tag("organizations")
.summary("Make an organization")
.details("The session's user owns it. The session goes on in its own organization; PUT /api/v1/auth/organization changes that. There is no Idempotency-Key: after a 503 look whether it is listed.")
.body::<NewOrganization>(r#"{"name": "Analytical Engines"}"#)
.answers(&[Answer::json::<Organization>(
    201,
    "It is made.",
    r#"{"id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "name": "Analytical Engines", "role": "owner", "time_zone": "UTC", "created_at": "2026-11-21T09:30:00.123456Z"}"#,
)])
.refuses(&[&ORGANIZATION_LIMIT]);

pub const READ: Operation = Operation::new(
    "organizations-read",
    Verb::Get,
    "/api/v1/organizations/{id}",
    Access::Permission("organization:read"),
)
.tag("organizations")
.summary("Read the organization")
.details("A credential acts in one organization; any other is not found.")
.path_parameter::<OrganizationId>("id")
.answers(&[Answer::json::<Organization>(
    200,
    "The organization.",
    r#"{"id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "name": "Analytical Engines", "role": "owner", "time_zone": "Europe/Berlin", "created_at": "2026-11-21T09:30:00.123456Z"}"#,
)]);

pub const CHANGE: Operation = Operation::new(
    "organizations-change",
    Verb::Patch,
    "/api/v1/organizations/{id}",
    Access::Permission("organization:manage"),
)
.audited()
.tag("organizations")
.summary("Change the organization's name or time zone")
.details("What is absent stays as it is; one of the two must be there. Another time zone cuts the days and months of usage anew, past ones too; what was closed stays closed.")
.path_parameter::<OrganizationId>("id")
.body::<OrganizationChange>(r#"{"name": "Analytical Engines", "time_zone": "Europe/Berlin"}"#)
.answers(&[Answer::json::<Organization>(
    200,
    "It is changed.",
    r#"{"id": "org_0199a2c4e1f17c4d9e6f708192a3b4c5", "name": "Analytical Engines", "role": "owner", "time_zone": "Europe/Berlin", "created_at": "2026-11-21T09:30:00.123456Z"}"#,
)]);
