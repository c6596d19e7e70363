//! Who may do what: one row for each operation of each route, one column for each kind of caller.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use shared::ids::{OrganizationId, UserId};
use shared::token::TokenKind;
use turnpike_host::manifest::Manifest;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{PASSWORD, fresh_key, invented, sql_digest, sql_id, unique};
use turnpike_tests::{Call, TestHost, User, api_tests};

/// What somebody sends who does everything right but for their credential.
#[derive(Debug, Clone, Copy)]
enum Body {
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
    UsageEvent,
    Plan,
    PlanChange,
    PlanTerms,
    Estimate,
}

/// What the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
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
    /// A plan with a version, which is every tenant's.
    Plan,
}

/// An operation and the statuses of each kind of caller.
struct Row {
    method: Method,
    /// As in spin.toml.
    route: &'static str,
    body: Body,
    named: Named,
    /// What an API key needs; an operation without one asks only for a user.
    permission: Option<&'static str>,
    /// Without credential, with garbage for one, and with an expired one.
    stranger: u16,
    /// The session of an organization's owner.
    owner: u16,
    /// An API key with the permission, of a user who holds it.
    key_with: u16,
    /// An API key with any other.
    key_without: u16,
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

    /// Across tenants, so that no organization's owner holds the permission.
    fn is_of_the_platform(&self) -> bool {
        let of_platform = [
            "analytics:read",
            "credits:grant",
            "outbox:deliver",
            "plans:manage",
            "signing_keys:manage",
            "subscriptions:manage",
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

/// The permissions of the built-in roles: an admin lacks only one of an owner's.
fn role_holds(role: &str, permission: &str) -> bool {
    match role {
        "admin" => permission != "roles:manage",
        "member" => [
            "credits:read",
            "credits:consume",
            "api_keys:manage",
            "organization:read",
            "plans:read",
            "pool:consume",
        ]
        .contains(&permission),
        _ => false,
    }
}

/// Organizations, and what is in them.
fn organization_rows() -> Vec<Row> {
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
fn org_billing_rows() -> Vec<Row> {
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

/// Events of usage, and what counts them.
fn metering_rows() -> Vec<Row> {
    let reads = Some("usage:read");
    let manages = Some("meters:manage");
    let row_of_meter = |method, permission| {
        row(method, "/api/v1/meters/:slug", Body::None, permission).names(Named::Meter)
    };
    vec![
        row(
            Method::POST,
            "/api/v1/usage/events",
            Body::UsageEvent,
            Some("usage:write"),
        ),
        row(Method::GET, "/api/v1/meters", Body::None, reads),
        row(Method::POST, "/api/v1/meters", Body::Meter, manages).creates(),
        row_of_meter(Method::GET, reads),
        row_of_meter(Method::DELETE, manages),
        row(Method::GET, "/api/v1/usage/summary", Body::None, reads).names(Named::Meter),
        row(
            Method::POST,
            "/api/v1/usage/upkeep",
            Body::None,
            Some("usage:upkeep"),
        )
        .owner(403),
    ]
}

/// The catalog of plans, and what they would cost.
fn plan_rows() -> Vec<Row> {
    let reads = Some("plans:read");
    let manages = Some("plans:manage");
    let plans = "/api/v1/plans";
    let plan = "/api/v1/plans/:code";
    let versions = "/api/v1/plans/:code/versions";
    let version = "/api/v1/plans/:code/versions/:version";
    let of_plan =
        |method, route, body, permission| row(method, route, body, permission).names(Named::Plan);
    vec![
        row(Method::GET, plans, Body::None, reads),
        row(Method::POST, plans, Body::Plan, manages)
            .creates()
            .owner(403),
        of_plan(Method::GET, plan, Body::None, reads),
        of_plan(Method::PATCH, plan, Body::PlanChange, manages).owner(403),
        of_plan(Method::GET, versions, Body::None, reads),
        of_plan(Method::POST, versions, Body::PlanTerms, manages)
            .creates()
            .owner(403),
        of_plan(Method::GET, version, Body::None, reads),
        row(
            Method::POST,
            "/api/v1/pricing/estimate",
            Body::Estimate,
            reads,
        ),
    ]
}

fn rows() -> Vec<Row> {
    let (get, post, put, delete) = (
        || Method::GET,
        || Method::POST,
        || Method::PUT,
        || Method::DELETE,
    );
    let keys = Some("api_keys:manage");
    let signing = Some("signing_keys:manage");
    let figures = Some("analytics:read");
    let mut rows = vec![
        row(post(), "/api/v1/auth/signup", Body::SignUp, None).public(202),
        row(post(), "/api/v1/auth/login", Body::Empty, None).public(422),
        // The credential is in the body.
        row(post(), "/api/v1/auth/refresh", Body::Empty, None).public(422),
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
        .names(Named::ApiKey),
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
        row(post(), "/api/v1/auth/password/forgot", Body::Empty, None).public(422),
        row(post(), "/api/v1/auth/password/reset", Body::Empty, None).public(422),
        row(post(), "/api/v1/auth/email/confirm", Body::Empty, None).public(422),
        row(put(), "/api/v1/auth/email", Body::Email, None)
            .owner(202)
            .sessions_only(403),
        row(post(), "/api/v1/auth/email/verification", Body::None, None)
            .owner(202)
            .sessions_only(403),
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
        row(post(), "/api/v1/auth/token", Body::Empty, None),
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
        .creates(),
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
        // Across tenants too.
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
    ];
    rows.extend(organization_rows());
    rows.extend(metering_rows());
    rows.extend(plan_rows());
    rows.extend(org_billing_rows());
    rows
}

/// The people of one run.
struct Cast {
    owner: User,
    admin: User,
    /// The owner of another organization.
    foreigner: User,
}

impl Cast {
    fn holder(&self, row: &Row) -> &User {
        if row.is_of_the_platform() {
            &self.admin
        } else {
            &self.owner
        }
    }
}

/// The request without its credential, naming something of `of`'s that is made for it.
async fn build(host: &TestHost, row: &Row, of: &User) -> Call {
    let organization = host.organization_of(of).await;
    build_in(host, row, of, organization).await
}

/// The same for something of `of`'s or of `organization`'s.
async fn build_in(host: &TestHost, row: &Row, of: &User, organization: OrganizationId) -> Call {
    let path = row.route.replace("/...", "/v1/nothing");
    let within = |path: String| path.replace(":id", &organization.to_string());
    // A role that holds nothing, so that whoever may manage members or roles may manage it.
    let guest = format!("guest_{}", unique());
    if matches!(row.body, Body::Role | Body::Invitation)
        || matches!(row.named, Named::Member | Named::Role | Named::Invitation)
    {
        host.own_role(organization, &guest, &[]).await;
    }
    let path = match row.named {
        Named::Nothing => path,
        Named::Meter => {
            let slug = format!("m{}", unique());
            host.execute(&format!(
                "INSERT INTO meters (organization_id, id, slug, event_type, aggregation)
                 VALUES ('{}', gen_random_uuid(), '{slug}', 'call', 'count')",
                organization.as_uuid()
            ))
            .await;
            if path.ends_with("/summary") {
                format!("{path}?meter={slug}")
            } else {
                path.replace(":slug", &slug)
            }
        }
        Named::Plan => {
            let code = format!("p{}", unique());
            host.execute(&format!(
                "WITH made AS (
                     INSERT INTO plans (id, code, name, currency, billing_period, versions)
                     VALUES (gen_random_uuid(), '{code}', 'Plan', 'USD', 'month', 1) RETURNING id)
                 INSERT INTO plan_versions (plan_id, version, id, terms, created_at, created_by)
                 SELECT id, 1, gen_random_uuid(), '{}', now(), {} FROM made",
                flat_terms("1"),
                sql_id(of.id)
            ))
            .await;
            path.replace(":code", &code).replace(":version", "1")
        }
        Named::SigningKey => {
            let kid = format!("key-{}", unique());
            host.execute(&format!(
                "INSERT INTO signing_keys (kid, signs_from, retired_at)
                 VALUES ('{kid}', now() - interval '1 hour', now() + interval '1 minute')"
            ))
            .await;
            path.replace(":kid", &kid)
        }
        Named::Organization => within(path),
        Named::Subscription => {
            let path = within(path);
            let admin = newest_admin(host).await;
            let put = host.put(&path).bearer(&admin.token).json(&terms());
            let response = put.settle().await;
            assert!(matches!(response.status, 200 | 201), "{response}");
            path
        }
        Named::Allocation => {
            let member = host.member_of(organization, "member").await;
            allocate(host, organization, member.id).await;
            within(path).replace(":user_id", &member.id.to_string())
        }
        Named::Member => {
            let member = host.member_of(organization, &guest).await;
            within(path).replace(":user_id", &member.id.to_string())
        }
        Named::Role => within(path).replace(":name", &guest),
        Named::Invitation => {
            let token = invented(TokenKind::Email, of.id);
            let email = format!("guest-{}@example.com", unique());
            let id = invite(host, organization, &email, &guest, &token).await;
            within(path).replace(":invitation_id", &id)
        }
        Named::Grant => path.replace(":id", &give(host, of).await),
        Named::Hold => {
            give(host, of).await;
            let token = host.issue_token(of).await;
            let holder = User {
                token,
                ..of.clone()
            };
            path.replace(":id", &host.hold(&holder, "0.01", 900).await)
        }
        Named::User => path.replace(":id", &host.outsider("user").await.id.to_string()),
        Named::Session => path.replace(":id", &host.issue_session(of).await.id.to_string()),
        Named::ApiKey => {
            // Within what a key that manages keys holds itself.
            let key = host.issue_api_key(of, &["api_keys:manage"]).await;
            path.replace(":id", &key.id.to_string())
        }
    };
    let call = host.call(row.method.clone(), path);
    match row.body {
        Body::None => call,
        Body::SignUp => {
            let email = format!("new-{}@example.com", unique());
            call.json(&json!({"email": email, "password": PASSWORD}))
        }
        Body::Empty => call.json(&json!({})),
        Body::Token => call.form("token=garbage"),
        Body::ApiKey => call.json(&json!({"name": "made", "scopes": ["api_keys:manage"]})),
        Body::Password => {
            call.json(&json!({"current_password": PASSWORD, "new_password": PASSWORD}))
        }
        Body::Reauthentication => call.json(&json!({"password": PASSWORD})),
        Body::Code => call.json(&json!({"code": "000000"})),
        Body::Email => {
            let email = format!("other-{}@example.com", unique());
            call.json(&json!({"email": email}))
        }
        Body::Money => call
            .idempotency_key(&fresh_key())
            .json(&json!({"amount": "0.01", "currency": "USD"})),
        Body::Grant => grant(call, of.id),
        Body::Keyed => call.idempotency_key(&fresh_key()),
        Body::Refund => {
            give(host, of).await;
            let token = host.issue_token(of).await;
            let spender = User {
                token,
                ..of.clone()
            };
            let spent = host.consume(&spender, "0.01").await;
            call.idempotency_key(&fresh_key())
                .json(&json!({"transaction_id": spent["id"]}))
        }
        Body::Organization => call.json(&json!({"name": "Engines"})),
        Body::SessionOrganization => call.json(&json!({"organization_id": organization})),
        Body::Role => call.json(&json!({"role": guest})),
        Body::Permissions => call.json(&json!({"permissions": []})),
        Body::Invitation => {
            let email = format!("guest-{}@example.com", unique());
            call.json(&json!({"email": email, "role": guest}))
        }
        Body::Acceptance => {
            let inviter = host.outsider("inviter").await;
            let elsewhere = host.organization_of(&inviter).await;
            let token = invented(TokenKind::Email, of.id);
            invite(host, elsewhere, &of.email, "member", &token).await;
            call.json(&json!({"token": token}))
        }
        Body::Meter => {
            let slug = format!("m{}", unique());
            call.json(&json!({"slug": slug, "event_type": "call", "aggregation": "count"}))
        }
        Body::Plan => {
            let code = format!("p{}", unique());
            call.json(&json!({
                "code": code, "name": "Plan", "currency": "USD", "billing_period": "month",
            }))
        }
        Body::PlanChange => call.json(&json!({"archived": true})),
        Body::PlanTerms => call.json(&flat_terms("2")),
        Body::Estimate => call.json(&flat_terms("3")),
        Body::UsageEvent => call.json(&json!({"id": unique().to_string(), "type": "call"})),
        Body::Disabled => call.json(&json!({"disabled": false})),
        Body::Subscription => call.json(&terms()),
        Body::PoolGrant => call
            .idempotency_key(&fresh_key())
            .json(&json!({"amount": "0.01", "currency": "USD"})),
        Body::PoolSpend => {
            give_pool(host, organization).await;
            allocate(host, organization, of.id).await;
            call.idempotency_key(&fresh_key())
                .json(&json!({"amount": "0.01", "currency": "USD"}))
        }
        Body::Allocation => call.json(&json!({
            "limit": {"amount": "1", "currency": "USD"}, "reset": "day",
        })),
    }
}

/// Writes an invitation; returns its id.
async fn invite(
    host: &TestHost,
    organization: OrganizationId,
    email: &str,
    role: &str,
    token: &str,
) -> String {
    let rows = host
        .query(&format!(
            "INSERT INTO invitations (id, organization_id, email, role, invited_by, digest, expires_at)
             SELECT gen_random_uuid(), organization_id, '{email}', '{role}', user_id, {}, now() + interval '1 day'
               FROM memberships WHERE organization_id = '{}' AND role = 'owner' LIMIT 1
             RETURNING prefixed_id('ivt_', id)",
            sql_digest(token),
            organization.as_uuid()
        ))
        .await;
    rows[0].get(0)
}

/// The terms of a plan that charges one amount.
fn flat_terms(amount: &str) -> serde_json::Value {
    let model = json!({"type": "flat", "amount": amount});
    json!({"currency": "USD", "charges": [{"code": "base", "name": "Base", "model": model}]})
}

/// The terms of a subscription.
fn terms() -> serde_json::Value {
    json!({
        "plan": "team", "seats": 1, "status": "active", "billing_period": "month",
        "seat_price": {"amount": "1", "currency": "USD"},
    })
}

/// Allocates US dollars of the pool to a member.
async fn allocate(host: &TestHost, organization: OrganizationId, member: UserId) {
    host.execute(&format!(
        "INSERT INTO credit_pool_allocations (organization_id, user_id, currency, spending_limit, reset,
                                              period_started_at, period_ends_at)
         VALUES ('{}', {}, 'USD', 1, 'never', now(), 'infinity') ON CONFLICT DO NOTHING",
        organization.as_uuid(),
        sql_id(member)
    ))
    .await;
}

/// Gives US dollars to the organization's pool.
async fn give_pool(host: &TestHost, organization: OrganizationId) {
    let admin = newest_admin(host).await;
    host.pool_grant(&admin, organization, "1.00", json!({}))
        .await;
}

/// Gives somebody credits; returns the grant's id.
async fn give(host: &TestHost, to: &User) -> String {
    let admin = newest_admin(host).await;
    host.grant_with(&admin, to, "1.00", json!({})).await
}

/// The admin of the platform who signed up last.
async fn newest_admin(host: &TestHost) -> User {
    let rows = host
        .query(
            "SELECT prefixed_id('usr_', id), email FROM users
              WHERE platform_role = 'platform_admin' ORDER BY created_at DESC LIMIT 1",
        )
        .await;
    let mut admin = User {
        id: rows[0]
            .get::<_, String>(0)
            .parse()
            .expect("the database writes ids as the API does"),
        email: rows[0].get(1),
        token: String::new(),
    };
    admin.token = host.issue_token(&admin).await;
    admin
}

fn grant(call: Call, to: UserId) -> Call {
    call.idempotency_key(&fresh_key())
        .json(&json!({"user_id": to, "amount": "0.01", "currency": "USD"}))
}

async fn expect(row: &Row, caller: &str, call: Call, status: u16) {
    let response = call.send().await;
    if response.status != status {
        response.fail(&format!(
            "{} {} must be answered {status} to {caller}: mend the component, or the row in \
             tests/api/authorization_matrix.rs",
            row.method, row.route
        ));
    }
}

async fn check(host: &TestHost, cast: &Cast, row: &Row) {
    let owner = &cast.owner;
    let anonymous = build(host, row, owner).await;
    expect(row, "nobody", anonymous.clone(), row.stranger).await;
    expect(
        row,
        "garbage",
        build(host, row, owner).await.bearer("garbage"),
        row.stranger,
    )
    .await;
    let expired = host.issue_token(owner).await;
    host.execute(&format!(
        "UPDATE access_tokens SET expires_at = now() - interval '1 second' WHERE digest = {}",
        sql_digest(&expired)
    ))
    .await;
    expect(
        row,
        "an expired token",
        build(host, row, owner).await.bearer(&expired),
        row.stranger,
    )
    .await;
    if row.named != Named::Nothing {
        let foreign = host.issue_token(&cast.foreigner).await;
        // What belongs to no tenant is hidden by the permission, or by nothing.
        let status = match row.named {
            _ if row.is_of_the_platform() => 403,
            Named::Plan => row.owner,
            _ => 404,
        };
        expect(row, "another tenant", anonymous.bearer(&foreign), status).await;
    }

    let holder = cast.holder(row);
    let scope = row.permission.unwrap_or("organization:read");
    let key = host.issue_api_key(holder, &[scope]).await.key;
    let call = build(host, row, holder).await.bearer(&key);
    expect(row, "an API key with the scope", call, row.key_with).await;
    let other = match row.permission {
        Some("roles:manage") => "audit:read",
        _ => "roles:manage",
    };
    let key = host.issue_api_key(holder, &[other]).await.key;
    let call = build(host, row, holder).await.bearer(&key);
    expect(row, "an API key without the scope", call, row.key_without).await;

    let session = host.issue_token(owner).await;
    let call = build(host, row, owner).await.bearer(&session);
    expect(row, "the owner", call, row.owner).await;

    let organization = host.organization_of(owner).await;
    for role in ["admin", "member"] {
        let user = host.member_of(organization, role).await;
        // With the password that everybody has.
        host.execute(&format!(
            "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE id = {})
              WHERE id = {}",
            sql_id(owner.id),
            sql_id(user.id)
        ))
        .await;
        if matches!(row.body, Body::Money) {
            host.grant(&cast.admin, &user, "5.00", "USD").await;
        }
        let status = match row.permission {
            Some(permission) if !role_holds(role, permission) => 403,
            _ => row.owner,
        };
        let call = build_in(host, row, &user, organization)
            .await
            .bearer(&user.token);
        expect(row, role, call, status).await;
    }
}

#[test]
fn every_route_has_a_row() {
    let manifest =
        Manifest::read(&project_root().join("spin.toml")).expect("spin.toml can be read");
    let served: BTreeSet<String> = manifest
        .triggers
        .into_iter()
        .filter_map(|trigger| trigger.route)
        .collect();
    let listed: BTreeSet<String> = rows().iter().map(|row| row.route.to_owned()).collect();
    assert_eq!(
        served, listed,
        "say in tests/api/authorization_matrix.rs who may use each route of spin.toml"
    );
}

api_tests![everybody_may_do_what_the_matrix_says];

async fn everybody_may_do_what_the_matrix_says(host: &TestHost) {
    for row in rows() {
        // Some rows end every session of their callers, so each has callers of its own.
        let (owner, admin) = host.user_with("5.00").await;
        let foreigner = host.outsider("foreigner").await;
        check(
            host,
            &Cast {
                owner,
                admin,
                foreigner,
            },
            &row,
        )
        .await;
    }
}
