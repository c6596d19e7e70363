//! Who may do what: one row for each operation of each route, one column for each kind of caller.

mod requests;
mod rows;

use std::collections::BTreeSet;

use turnpike_host::manifest::Manifest;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{sql_digest, sql_id};
use turnpike_tests::{Call, TestHost, User, api_tests};

use requests::{build, build_in};
use rows::{Body, Named, Row, rows};

/// The permissions of the built-in roles: an admin lacks only one of an owner's.
fn role_holds(role: &str, permission: &str) -> bool {
    match role {
        "admin" => permission != "roles:manage",
        "member" => [
            "credits:read",
            "credits:consume",
            "api_keys:manage",
            "entitlements:read",
            "organization:read",
            "plans:read",
            "pool:consume",
        ]
        .contains(&permission),
        _ => false,
    }
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

async fn expect(row: &Row, caller: &str, call: Call, status: u16) {
    let response = call.send().await;
    if response.status != status {
        response.fail(&format!(
            "{} {} must be answered {status} to {caller}: mend the component, or the row in \
             tests/api/authorization_matrix/rows.rs",
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
        "say in tests/api/authorization_matrix/rows.rs who may use each route of spin.toml"
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
