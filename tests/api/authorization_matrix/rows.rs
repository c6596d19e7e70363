//! The rows: each operation of sign-in, credits, organizations and the platform.

pub(super) mod usage;

use http::Method;
use serde_json::json;

use super::row::{Body, Named, Row, row};

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
        .key_with(403),
        // Their second factor is off.
        row(
            put(),
            "/api/v1/users/:id/second-factor-removal",
            Body::None,
            users,
        )
        .names(Named::User)
        .owner(403)
        .key_with(403),
        row(
            delete(),
            "/api/v1/users/:id/second-factor-removal",
            Body::None,
            users,
        )
        .names(Named::User)
        .owner(403)
        .key_with(403),
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

/// The largest body of many accounts.
const MAX_ACCOUNTS_BYTES: usize = 1_000 * 2 * 1_024;

/// Who is billed.
pub(super) fn account_rows() -> Vec<Row> {
    let manages = Some("accounts:manage");
    let account = "/api/v1/accounts/:id";
    let of_account = |method, route, body, permission| {
        row(method, route, body, permission).names(Named::Account)
    };
    let mut rows = vec![
        row(Method::POST, "/api/v1/accounts", Body::Account, manages)
            .creates()
            .owner(403),
        of_account(Method::GET, account, Body::None, Some("billing:read")),
        of_account(
            Method::GET,
            "/api/v1/accounts/:id/spend",
            Body::None,
            Some("billing:read"),
        ),
        of_account(
            Method::PATCH,
            account,
            Body::AccountChange,
            Some("billing:manage"),
        ),
        of_account(
            Method::PUT,
            "/api/v1/accounts/:id/owner",
            Body::AccountOwner,
            manages,
        )
        .owner(403)
        .key_with(403),
    ];
    for route in ["/api/v1/accounts/:id/close", "/api/v1/accounts/:id/reopen"] {
        rows.push(of_account(Method::POST, route, Body::None, manages).owner(403));
    }
    for (route, body) in [
        ("/api/v1/accounts/bulk", Body::AccountBatch),
        ("/api/v1/accounts/import", Body::AccountFile),
    ] {
        let many = row(Method::POST, route, body, manages);
        rows.push(many.owner(403).up_to(MAX_ACCOUNTS_BYTES));
    }
    rows
}

/// Plans that accounts have.
pub(super) fn subscription_rows() -> Vec<Row> {
    let reads = Some("billing:read");
    let manages = Some("subscriptions:manage");
    let all = "/api/v1/subscriptions";
    let mut rows = vec![
        row(Method::GET, all, Body::None, reads),
        row(Method::POST, all, Body::PlanSubscription, manages)
            .creates()
            .owner(403),
        row(
            Method::POST,
            "/api/v1/subscriptions/preview",
            Body::PlanSubscription,
            manages,
        )
        .owner(403),
        row(
            Method::POST,
            "/api/v1/subscriptions/advance",
            Body::None,
            manages,
        )
        .owner(403),
        row(
            Method::POST,
            "/api/v1/accounts/:id/test-clock",
            Body::TestClock,
            manages,
        )
        .names(Named::TestAccount)
        .owner(403),
    ];
    for route in [
        "/api/v1/subscriptions/:id",
        "/api/v1/subscriptions/:id/adjustments",
        "/api/v1/subscriptions/:id/changes",
    ] {
        rows.push(row(Method::GET, route, Body::None, reads).names(Named::PlanSubscription));
    }
    for (route, body, named) in [
        (
            "/api/v1/subscriptions/:id/change",
            Body::SubscriptionChange,
            Named::PlanSubscription,
        ),
        (
            "/api/v1/subscriptions/:id/cancel",
            Body::SubscriptionCancellation,
            Named::PlanSubscription,
        ),
        (
            "/api/v1/subscriptions/:id/resume",
            Body::Keyed,
            Named::EndingSubscription,
        ),
        (
            "/api/v1/subscriptions/:id/pause",
            Body::SubscriptionPause,
            Named::PlanSubscription,
        ),
        (
            "/api/v1/subscriptions/:id/unpause",
            Body::Keyed,
            Named::PausedSubscription,
        ),
        (
            "/api/v1/subscriptions/:id/preview",
            Body::SubscriptionAction,
            Named::PlanSubscription,
        ),
    ] {
        let row = row(Method::POST, route, body, manages);
        rows.push(row.names(named).owner(403));
    }
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
    let (get, post, delete) = (|| Method::GET, || Method::POST, || Method::DELETE);
    let figures = Some("analytics:read");
    let cache = Some("cache:manage");
    vec![
        row(post(), "/api/v1/cache/warm", Body::CacheWarming, cache).owner(403),
        row(delete(), "/api/v1/cache/:namespace", Body::None, cache)
            .names(Named::CacheNamespace)
            .owner(403),
        row(delete(), "/api/v1/cache/owners/:id", Body::None, cache)
            .names(Named::User)
            .owner(403),
        row(
            post(),
            "/api/v1/retention/purges",
            Body::None,
            Some("retention:purge"),
        )
        .owner(403),
        // Where no mail service is named there is nothing to deliver to.
        row(
            post(),
            "/api/v1/outbox/deliveries",
            Body::None,
            Some("outbox:deliver"),
        )
        .owner(403)
        .key_with(422),
        row(get(), "/metrics", Body::None, Some("metrics:read")).owner(403),
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
