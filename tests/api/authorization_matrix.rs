//! Who may do what: one row for each operation of each route, one column for each kind of caller.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use shared::ids::UserId;
use turnpike_host::manifest::Manifest;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{PASSWORD, fresh_key, sql_digest, unique};
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
    Money,
    Grant,
}

/// What is named by `:id` in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    Session,
    ApiKey,
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

    fn names(self, named: Named) -> Self {
        Self { named, ..self }
    }
}

fn rows() -> Vec<Row> {
    let (get, post, put, delete) = (
        || Method::GET,
        || Method::POST,
        || Method::PUT,
        || Method::DELETE,
    );
    let keys = Some("api_keys:manage");
    vec![
        row(post(), "/api/v1/auth/signup", Body::SignUp, None).public(202),
        row(post(), "/api/v1/auth/login", Body::Empty, None).public(422),
        // The credential is in the body.
        row(post(), "/api/v1/auth/refresh", Body::Empty, None).public(422),
        row(get(), "/api/v1/auth/me", Body::None, None),
        row(post(), "/api/v1/auth/logout", Body::None, None).sessions_only(401),
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
        row(get(), "/api/v1/health", Body::None, None).public(200),
        row(get(), "/api/v1/health/ready", Body::None, None).public(200),
        row(get(), "/openapi.json", Body::None, None).public(200),
        row(get(), "/api/...", Body::None, None).public(404),
    ]
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
        if row.permission == Some("credits:grant") {
            &self.admin
        } else {
            &self.owner
        }
    }
}

/// The request without its credential, naming something of `of`'s that is made for it.
async fn build(host: &TestHost, row: &Row, of: &User) -> Call {
    let path = row.route.replace("/...", "/v1/nothing");
    let path = match row.named {
        Named::Nothing => path,
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
        Body::Money => call
            .idempotency_key(&fresh_key())
            .json(&json!({"amount": "0.01", "currency": "USD"})),
        Body::Grant => grant(call, of.id),
    }
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
        expect(row, "another tenant", anonymous.bearer(&foreign), 404).await;
    }

    let holder = cast.holder(row);
    let scope = row.permission.unwrap_or("organization:read");
    let key = host.issue_api_key(holder, &[scope]).await.key;
    let call = build(host, row, holder).await.bearer(&key);
    expect(row, "an API key with the scope", call, row.key_with).await;
    let key = host.issue_api_key(holder, &["roles:manage"]).await.key;
    let call = build(host, row, holder).await.bearer(&key);
    expect(row, "an API key without the scope", call, row.key_without).await;

    let session = host.issue_token(owner).await;
    let call = build(host, row, owner).await.bearer(&session);
    expect(row, "the owner", call, row.owner).await;
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
        let foreigner = host.signup_and_login("foreigner").await;
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
