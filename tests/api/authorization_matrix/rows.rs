//! The rows: each operation, what it needs, and what each kind of caller is answered.

pub(super) mod usage;

use http::Method;
use serde_json::{Value, json};

/// The largest body that most operations read, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The largest body of the terms of a plan.
const MAX_TERMS_BYTES: usize = 256 * 1024;

/// What somebody sends who does everything right but for their credential.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    None,
    SignUp,
    /// An object without any field.
    Empty,
    Token,
    ApiKey,
    Password,
    Reauthentication,
    Code,
    Email,
    Money,
    Grant,
    /// An Idempotency-Key, and no body.
    Keyed,
    Refund,
    Organization,
    SessionOrganization,
    Role,
    Permissions,
    Invitation,
    Acceptance,
    Disabled,
    Subscription,
    PoolGrant,
    PoolSpend,
    Allocation,
    Meter,
    UsageAlert,
    UsageEvent,
    UsageClosing,
    Entitlement,
    EntitlementChange,
    /// A feature in the query, and no body.
    Feature,
    Plan,
    PlanChange,
    PlanTerms,
    Estimate,
    /// Of a plan in the catalog.
    EstimateOfPlan,
}

impl Body {
    /// Whether an Idempotency-Key goes with it.
    pub(super) fn has_key(self) -> bool {
        matches!(
            self,
            Self::Money
                | Self::Grant
                | Self::Keyed
                | Self::Refund
                | Self::PoolGrant
                | Self::PoolSpend
        )
    }

    /// Whether it is JSON.
    pub(super) fn is_json(self) -> bool {
        !matches!(self, Self::None | Self::Keyed | Self::Feature | Self::Token)
    }
}

/// What every reader of JSON is tried with.
#[derive(Debug)]
pub(super) enum JsonCheck {
    /// The operation's body, if that is JSON.
    OfBody,
    /// A body with more fields than the one that the callers send.
    With(Value),
    /// It reads more than one JSON object, and its own module tries what it does not.
    Elsewhere,
}

/// What the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Nothing,
    Session,
    ApiKey,
    SigningKey,
    Organization,
    Member,
    Role,
    Invitation,
    User,
    Grant,
    Hold,
    /// An organization with a subscription.
    Subscription,
    /// A member to whom something of the pool is allocated.
    Allocation,
    Meter,
    UsageAlert,
    /// A metered entitlement of a subject.
    Entitlement,
    /// A plan with a version, which is every tenant's.
    Plan,
}

/// An operation and the statuses of each kind of caller.
pub(super) struct Row {
    pub(super) method: Method,
    /// As in spin.toml.
    pub(super) route: &'static str,
    pub(super) body: Body,
    pub(super) named: Named,
    /// What an API key needs; an operation without one asks only for a user.
    pub(super) permission: Option<&'static str>,
    /// Without credential, with garbage for one, and with an expired one.
    pub(super) stranger: u16,
    /// The session of an organization's owner.
    pub(super) owner: u16,
    /// An API key with the permission, of a user who holds it.
    pub(super) key_with: u16,
    /// An API key with any other.
    pub(super) key_without: u16,
    /// What stands for a good body among bad ones.
    pub(super) json: JsonCheck,
    /// The longest body that is read.
    pub(super) max_body_bytes: usize,
}

fn row(method: Method, route: &'static str, body: Body, permission: Option<&'static str>) -> Row {
    Row {
        method,
        route,
        body,
        named: Named::Nothing,
        permission,
        stranger: 401,
        owner: 200,
        key_with: 200,
        key_without: if permission.is_some() { 403 } else { 200 },
        json: JsonCheck::OfBody,
        max_body_bytes: MAX_BODY_BYTES,
    }
}

/// A read that needs a permission and nothing else.
pub(super) fn read(route: &'static str, permission: &'static str) -> Row {
    let row = row(Method::GET, route, Body::None, Some(permission));
    match row.is_of_the_platform() {
        true => row.owner(403),
        false => row,
    }
}

impl Row {
    /// Everybody is answered alike, because the operation takes no credential.
    fn public(self, status: u16) -> Self {
        Self {
            stranger: status,
            owner: status,
            key_with: status,
            key_without: status,
            ..self
        }
    }

    /// Only a person who signed in may do this, and an API key is answered so.
    fn sessions_only(self, status: u16) -> Self {
        Self {
            key_with: status,
            key_without: status,
            ..self
        }
    }

    fn creates(self) -> Self {
        Self {
            owner: 201,
            key_with: 201,
            ..self
        }
    }

    fn owner(self, owner: u16) -> Self {
        Self { owner, ..self }
    }

    /// What an API key with the permission is answered.
    fn key_with(self, key_with: u16) -> Self {
        Self { key_with, ..self }
    }

    /// Bad bodies are made from this one.
    fn reads(self, sample: Value) -> Self {
        Self {
            json: JsonCheck::With(sample),
            ..self
        }
    }

    /// Its own module tries bad bodies.
    fn reads_more_than_json(self) -> Self {
        Self {
            json: JsonCheck::Elsewhere,
            ..self
        }
    }

    /// The body may be so long.
    fn up_to(self, max_body_bytes: usize) -> Self {
        Self {
            max_body_bytes,
            ..self
        }
    }

    /// Across tenants, so that no organization's owner holds the permission.
    pub(super) fn is_of_the_platform(&self) -> bool {
        let of_platform = [
            "analytics:read",
            "audit:read_platform",
            "credits:grant",
            "entitlements:grant",
            "outbox:deliver",
            "plans:manage",
            "signing_keys:manage",
            "subscriptions:manage",
            "usage:close",
            "usage:upkeep",
            "users:manage",
        ];
        self.permission
            .is_some_and(|permission| of_platform.contains(&permission))
    }

    fn names(self, named: Named) -> Self {
        Self { named, ..self }
    }
}

/// Organizations, and what is in them.
pub(super) fn organization_rows() -> Vec<Row> {
    let (get, post, put, patch, delete) = (
        || Method::GET,
        || Method::POST,
        || Method::PUT,
        || Method::PATCH,
        || Method::DELETE,
    );
    let reads = Some("organization:read");
    let members = Some("members:manage");
    let roles = Some("roles:manage");
    let users = Some("users:manage");
    let mut rows = vec![
        row(
            put(),
            "/api/v1/auth/organization",
            Body::SessionOrganization,
            None,
        )
        .sessions_only(403),
        row(get(), "/api/v1/organizations", Body::None, None).sessions_only(403),
        row(post(), "/api/v1/organizations", Body::Organization, None)
            .creates()
            .sessions_only(403),
        row(post(), "/api/v1/invitations/accept", Body::Acceptance, None).sessions_only(403),
        row(get(), "/api/v1/permissions", Body::None, None),
        row(get(), "/api/v1/users/:id", Body::None, users)
            .names(Named::User)
            .owner(403),
        row(patch(), "/api/v1/users/:id", Body::Disabled, users)
            .names(Named::User)
            .owner(403),
        // The user is no member of the caller's organization, which is said to nobody else.
        row(
            post(),
            "/api/v1/users/:id/ownerships",
            Body::SessionOrganization,
            users,
        )
        .names(Named::User)
        .owner(403)
        .key_with(404),
    ];
    let in_organization = [
        (
            get(),
            "/api/v1/organizations/:id",
            Body::None,
            reads,
            Named::Organization,
        ),
        (
            patch(),
            "/api/v1/organizations/:id",
            Body::Organization,
            Some("organization:manage"),
            Named::Organization,
        ),
        (
            get(),
            "/api/v1/organizations/:id/members",
            Body::None,
            reads,
            Named::Organization,
        ),
        (
            patch(),
            "/api/v1/organizations/:id/members/:user_id",
            Body::Role,
            members,
            Named::Member,
        ),
        (
            delete(),
            "/api/v1/organizations/:id/members/:user_id",
            Body::None,
            members,
            Named::Member,
        ),
        (
            get(),
            "/api/v1/organizations/:id/roles",
            Body::None,
            reads,
            Named::Organization,
        ),
        (
            put(),
            "/api/v1/organizations/:id/roles/:name",
            Body::Permissions,
            roles,
            Named::Role,
        ),
        (
            delete(),
            "/api/v1/organizations/:id/roles/:name",
            Body::None,
            roles,
            Named::Role,
        ),
        (
            get(),
            "/api/v1/organizations/:id/invitations",
            Body::None,
            members,
            Named::Organization,
        ),
        (
            delete(),
            "/api/v1/organizations/:id/invitations/:invitation_id",
            Body::None,
            members,
            Named::Invitation,
        ),
    ];
    for (method, route, body, permission, named) in in_organization {
        rows.push(row(method, route, body, permission).names(named));
    }
    rows.push(
        row(
            post(),
            "/api/v1/organizations/:id/invitations",
            Body::Invitation,
            members,
        )
        .names(Named::Organization)
        .creates(),
    );
    rows
}

/// What an organization has subscribed to, its pool, and what is spent of it.
pub(super) fn org_billing_rows() -> Vec<Row> {
    let (get, post, put, delete) = (
        || Method::GET,
        || Method::POST,
        || Method::PUT,
        || Method::DELETE,
    );
    let reads = Some("billing:read");
    let manages = Some("pool:manage");
    vec![
        row(
            get(),
            "/api/v1/org-billing/organizations/:id/subscription",
            Body::None,
            reads,
        )
        .names(Named::Subscription),
        row(
            put(),
            "/api/v1/org-billing/organizations/:id/subscription",
            Body::Subscription,
            Some("subscriptions:manage"),
        )
        .names(Named::Organization)
        .creates()
        .owner(403),
        row(
            get(),
            "/api/v1/org-billing/organizations/:id/credit-pool",
            Body::None,
            reads,
        )
        .names(Named::Organization),
        row(
            post(),
            "/api/v1/org-billing/organizations/:id/credit-pool/grants",
            Body::PoolGrant,
            Some("credits:grant"),
        )
        .names(Named::Organization)
        .creates()
        .owner(403),
        row(
            get(),
            "/api/v1/org-billing/organizations/:id/credit-pool/transactions",
            Body::None,
            reads,
        )
        .names(Named::Organization),
        row(
            post(),
            "/api/v1/org-billing/organizations/:id/credit-pool/consume",
            Body::PoolSpend,
            Some("pool:consume"),
        )
        .names(Named::Organization)
        .creates(),
        row(
            get(),
            "/api/v1/org-billing/organizations/:id/credit-pool/allocations",
            Body::None,
            manages,
        )
        .names(Named::Organization),
        row(
            put(),
            "/api/v1/org-billing/organizations/:id/credit-pool/allocations/:user_id",
            Body::Allocation,
            manages,
        )
        .names(Named::Allocation),
        row(
            delete(),
            "/api/v1/org-billing/organizations/:id/credit-pool/allocations/:user_id",
            Body::None,
            manages,
        )
        .names(Named::Allocation),
        row(
            get(),
            "/api/v1/org-billing/organizations/:id/members",
            Body::None,
            reads,
        )
        .names(Named::Organization),
    ]
}

/// Who somebody is, and what they sign in with.
pub(super) fn auth_rows() -> Vec<Row> {
    let (get, post, put, delete) = (
        || Method::GET,
        || Method::POST,
        || Method::PUT,
        || Method::DELETE,
    );
    let keys = Some("api_keys:manage");
    let signing = Some("signing_keys:manage");
    vec![
        row(post(), "/api/v1/auth/signup", Body::SignUp, None).public(202),
        row(post(), "/api/v1/auth/login", Body::Empty, None)
            .public(422)
            .reads(json!({"email": "ada@example.com", "password": "correct horse battery"})),
        // The credential is in the body, or in a browser's cookie, which comes without a body.
        row(post(), "/api/v1/auth/refresh", Body::Empty, None)
            .public(422)
            .reads_more_than_json(),
        row(get(), "/api/v1/auth/me", Body::None, None),
        row(post(), "/api/v1/auth/logout", Body::None, None).sessions_only(403),
        row(
            post(),
            "/api/v1/auth/introspect",
            Body::Token,
            Some("tokens:introspect"),
        ),
        row(get(), "/api/v1/auth/sessions", Body::None, None).sessions_only(403),
        row(delete(), "/api/v1/auth/sessions", Body::None, None).sessions_only(403),
        row(delete(), "/api/v1/auth/sessions/:id", Body::None, None)
            .sessions_only(403)
            .names(Named::Session),
        row(get(), "/api/v1/auth/api-keys", Body::None, keys),
        row(post(), "/api/v1/auth/api-keys", Body::ApiKey, keys).creates(),
        row(delete(), "/api/v1/auth/api-keys/:id", Body::None, keys).names(Named::ApiKey),
        row(
            post(),
            "/api/v1/auth/api-keys/:id/rotate",
            Body::Empty,
            keys,
        )
        .names(Named::ApiKey)
        .reads(json!({"overlap_secs": 60})),
        row(put(), "/api/v1/auth/password", Body::Password, None).sessions_only(403),
        row(
            post(),
            "/api/v1/auth/reauthenticate",
            Body::Reauthentication,
            None,
        )
        .sessions_only(403),
        row(get(), "/api/v1/auth/totp", Body::None, None).sessions_only(403),
        row(post(), "/api/v1/auth/totp", Body::None, None)
            .creates()
            .sessions_only(403),
        row(delete(), "/api/v1/auth/totp", Body::None, None).sessions_only(403),
        // The owner has enrolled nothing, which is said to nobody else.
        row(post(), "/api/v1/auth/totp/confirm", Body::Code, None)
            .sessions_only(403)
            .owner(409),
        row(post(), "/api/v1/auth/totp/recovery-codes", Body::None, None)
            .sessions_only(403)
            .owner(409),
        // The credential, if any, is the token in the body.
        row(post(), "/api/v1/auth/password/forgot", Body::Empty, None)
            .public(422)
            .reads(json!({"email": "ada@example.com"})),
        row(post(), "/api/v1/auth/password/reset", Body::Empty, None)
            .public(422)
            .reads(json!({"token": "tpe_x", "new_password": "a quite different phrase"})),
        row(post(), "/api/v1/auth/email/confirm", Body::Empty, None)
            .public(422)
            .reads(json!({"token": "tpe_x"})),
        row(post(), "/api/v1/auth/email/undo", Body::Empty, None)
            .public(422)
            .reads(json!({"token": "tpe_x"})),
        row(put(), "/api/v1/auth/email", Body::Email, None)
            .owner(202)
            .sessions_only(403),
        row(post(), "/api/v1/auth/email/verification", Body::None, None)
            .owner(202)
            .sessions_only(403),
        row(post(), "/api/v1/auth/token", Body::Empty, None)
            .reads(json!({"audience": "api", "scope": "credits:read"})),
        row(get(), "/.well-known/jwks.json", Body::None, None).public(200),
        row(get(), "/api/v1/auth/signing-keys", Body::None, signing).owner(403),
        row(post(), "/api/v1/auth/signing-keys", Body::None, signing)
            .creates()
            .owner(403),
        row(
            delete(),
            "/api/v1/auth/signing-keys/:kid",
            Body::None,
            signing,
        )
        .names(Named::SigningKey)
        .owner(403),
        row(get(), "/api/v1/audit-log", Body::None, Some("audit:read")),
        row(
            get(),
            "/api/v1/audit-log/platform",
            Body::None,
            Some("audit:read_platform"),
        )
        .owner(403),
    ]
}

/// Credits of users.
pub(super) fn credit_rows() -> Vec<Row> {
    let (get, post) = (|| Method::GET, || Method::POST);
    vec![
        row(
            get(),
            "/api/v1/credits/balance",
            Body::None,
            Some("credits:read"),
        ),
        row(
            get(),
            "/api/v1/credits/transactions",
            Body::None,
            Some("credits:read"),
        ),
        row(
            get(),
            "/api/v1/credits/transactions/export",
            Body::None,
            Some("credits:read"),
        ),
        row(
            get(),
            "/api/v1/credits/usage/summary",
            Body::None,
            Some("credits:read"),
        ),
        row(
            post(),
            "/api/v1/credits/consume",
            Body::Money,
            Some("credits:consume"),
        )
        .creates(),
        // Across tenants, so an organization's owner may not either.
        row(
            post(),
            "/api/v1/credits/grants",
            Body::Grant,
            Some("credits:grant"),
        )
        .creates()
        .owner(403),
        row(
            get(),
            "/api/v1/credits/grants",
            Body::None,
            Some("credits:read"),
        ),
        row(
            post(),
            "/api/v1/credits/grants/:id/void",
            Body::Keyed,
            Some("credits:grant"),
        )
        .names(Named::Grant)
        .owner(403),
        row(
            post(),
            "/api/v1/credits/refunds",
            Body::Refund,
            Some("credits:grant"),
        )
        .creates()
        .owner(403),
        row(
            post(),
            "/api/v1/credits/holds",
            Body::Money,
            Some("credits:consume"),
        )
        .creates()
        .reads(json!({"amount": "0.01", "currency": "USD", "ttl_secs": 60})),
        row(
            get(),
            "/api/v1/credits/holds/:id",
            Body::None,
            Some("credits:consume"),
        )
        .names(Named::Hold),
        row(
            post(),
            "/api/v1/credits/holds/:id/capture",
            Body::Money,
            Some("credits:consume"),
        )
        .names(Named::Hold),
        row(
            post(),
            "/api/v1/credits/holds/:id/release",
            Body::Keyed,
            Some("credits:consume"),
        )
        .names(Named::Hold),
    ]
}

/// The platform's own: figures across tenants, mail, and what is there for everybody.
pub(super) fn platform_rows() -> Vec<Row> {
    let (get, post) = (|| Method::GET, || Method::POST);
    let figures = Some("analytics:read");
    vec![
        // Where no mail service is named there is nothing to deliver to.
        row(
            post(),
            "/api/v1/outbox/deliveries",
            Body::None,
            Some("outbox:deliver"),
        )
        .owner(403)
        .key_with(422),
        // It exists on a developer's machine only.
        row(get(), "/api/v1/dev/outbox", Body::None, None).public(404),
        row(
            get(),
            "/api/v1/org-billing/analytics/platform",
            Body::None,
            figures,
        )
        .owner(403),
        row(
            get(),
            "/api/v1/org-billing/analytics/platform/organizations",
            Body::None,
            figures,
        )
        .owner(403),
        row(
            get(),
            "/api/v1/org-billing/analytics/revenue-trends",
            Body::None,
            figures,
        )
        .owner(403),
        row(get(), "/api/v1/health", Body::None, None).public(200),
        row(get(), "/api/v1/health/ready", Body::None, None).public(200),
        row(get(), "/openapi.json", Body::None, None).public(200),
        row(get(), "/api/...", Body::None, None).public(404),
    ]
}
