//! Who may do what: one row for each operation of each route, one column for each kind of caller.
//! Beside that, each operation is tried with everything that every operation refuses.

mod refusals;
mod replays;
mod requests;
mod row;
mod rows;
mod twice;

use std::collections::BTreeSet;

use serde_json::json;
use turnpike_host::manifest::Manifest;
use turnpike_tests::description::{Description, UNDESCRIBED, template};
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{CONSUME, GRANTS, HOLDS, REFUNDS, sql_hash, unique};
use turnpike_tests::{Call, TestHost, User, api_tests};

use requests::{build, build_in, prepare};
use row::{Body, JsonCheck, Named, Row};

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
        sql_hash(&expired)
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
    let prepared = prepare(host, row, owner, organization).await;
    if let Some(call) = prepared.encoded("gzip", refusals::gzip) {
        let session = host.issue_token(owner).await;
        let call = call.bearer(&session);
        expect(row, "the owner with gzip", call, row.owner).await;
    }
    // Whoever has a role that holds nothing was a member with more until then, or never was.
    let nothing = format!("nothing_{}", unique());
    host.own_role(organization, &nothing, &[]).await;
    for role in ["admin", "member", &nothing] {
        let user = host.member_of(organization, role).await;
        if matches!(row.body, Body::Money) {
            let here = json!({"organization_id": organization});
            host.grant_with(&cast.admin, &user, "5.00", here).await;
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

/// The methods of a route.
fn methods_of(route: &str) -> BTreeSet<String> {
    let rows = all_rows();
    let of_route = rows.iter().filter(|row| row.route == route);
    of_route.map(|row| row.method.to_string()).collect()
}

/// Every operation.
fn all_rows() -> Vec<Row> {
    let mut rows = listed_rows();
    rows.extend(declared_rows());
    rows
}

/// Reads that have no row in the lists and need none: a permission, no path parameter and no
/// body. Their declarations say all that there is to say.
fn declared_rows() -> Vec<Row> {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let listed: BTreeSet<String> = listed_rows()
        .iter()
        .map(|row| format!("{} {}", row.method, template(row.route)))
        .collect();
    description
        .operations()
        .filter(|(path, method, _)| {
            method == "GET" && !path.contains('{') && !listed.contains(&format!("GET {path}"))
        })
        .filter_map(|(path, _, operation)| {
            let permission = operation.get("x-permission")?.as_str()?;
            Some(row::read(
                path.to_owned().leak(),
                permission.to_owned().leak(),
            ))
        })
        .collect()
}

/// Has a test for each list of rows, so that they run side by side.
macro_rules! matrix {
    [$($test:ident: $rows:path),+ $(,)?] => {
        /// Every operation that is listed in `rows`.
        fn listed_rows() -> Vec<Row> {
            [$($rows()),+].into_iter().flatten().collect()
        }

        api_tests![$($test),+, declared];

        $(async fn $test(host: &TestHost) {
            check_all(host, $rows()).await;
        })+
    };
}

matrix![
    auth: rows::auth_rows,
    credits: rows::credit_rows,
    organizations: rows::organization_rows,
    accounts: rows::account_rows,
    subscriptions: rows::subscription_rows,
    organization_billing: rows::org_billing_rows,
    metering: rows::usage::metering_rows,
    entitlements: rows::usage::entitlement_rows,
    plans: rows::usage::plan_rows,
    platform: rows::platform_rows,
];

/// Every GET that there is, as `owner`, or as `admin` where it is the platform's, may send it.
/// What it names is made for it.
pub(crate) async fn reads(host: &TestHost, owner: &User, admin: &User) -> Vec<(String, Call)> {
    let mut calls = Vec::new();
    for row in all_rows() {
        // What nobody serves is no read.
        if row.method == "GET" && row.stranger != 404 {
            let holder = if row.is_of_the_platform() {
                admin
            } else {
                owner
            };
            let call = build(host, &row, holder).await;
            let call = match row.stranger {
                401 => call.bearer(&holder.token),
                _ => call,
            };
            calls.push((format!("GET {}", row.route), call));
        }
    }
    calls
}

async fn declared(host: &TestHost) {
    check_all(host, declared_rows()).await;
}

async fn check_all(host: &TestHost, rows: Vec<Row>) {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let mut routes = BTreeSet::new();
    for row in rows {
        // Some rows end every session of their callers, so each has callers of its own.
        let (owner, admin) = host.user_with("5.00").await;
        let foreigner = host.new_user("foreigner").await;
        let cast = Cast {
            owner,
            admin,
            foreigner,
        };
        let holder = cast.holder(&row);
        // What nobody serves has no methods either.
        if row.stranger != 404 && routes.insert(row.route) {
            refusals::methods(host, &row, &methods_of(row.route), holder).await;
        }
        if row.stranger == 401 {
            refusals::credentials(host, &row, holder).await;
        }
        refusals::json_bodies(host, &row, holder).await;
        refusals::repeated_members(host, &row, &description, holder).await;
        refusals::encodings(host, &row, holder).await;
        replays::replays(host, &row, &description, holder).await;
        check(host, &cast, &row).await;
    }
}

#[test]
fn every_operation_has_a_row_with_its_permission() {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let mut declared: BTreeSet<(String, Option<String>)> = BTreeSet::new();
    for (path, method, operation) in description.operations() {
        let permission = operation["x-permission"].as_str();
        declared.insert((format!("{method} {path}"), permission.map(str::to_owned)));
    }
    let manifest =
        Manifest::read(&project_root().join("spin.toml")).expect("spin.toml can be read");
    let is_described = |row: &Row| !UNDESCRIBED.contains(&row.route);
    let listed: BTreeSet<(String, Option<String>)> = all_rows()
        .iter()
        .filter(|row| is_described(row))
        .map(|row| {
            let operation = format!("{} {}", row.method, template(row.route));
            (operation, row.permission.map(str::to_owned))
        })
        .collect();
    assert_eq!(
        declared, listed,
        "left what the functions declare, right the rows: say in \
         tests/api/authorization_matrix/rows.rs who may use each operation"
    );
    let routes: BTreeSet<String> = all_rows().iter().map(|row| row.route.to_owned()).collect();
    for trigger in manifest.triggers {
        let Some(route) = trigger.route else { continue };
        assert!(
            routes
                .iter()
                .any(|listed| template(listed) == template(&route)),
            "say in tests/api/authorization_matrix/rows.rs who may use {route}"
        );
    }
}

/// What moves money is sent twice with one key.
#[test]
fn keys_are_tried() {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let rows = all_rows();
    let tried = rows
        .iter()
        .filter(|row| replays::takes_key(row, &description));
    let tried: BTreeSet<&str> = tried.map(|row| row.route).collect();
    for route in [CONSUME, GRANTS, HOLDS, REFUNDS] {
        assert!(tried.contains(route), "{route} is not among {tried:?}");
    }
}

/// An operation that reads JSON is tried with what is none, here or in its own module.
#[test]
fn every_json_body_is_tried() {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    for row in all_rows() {
        let path = row.route.replace("/...", "/v1/nothing");
        let Some(item) = description.path_item(&path) else {
            continue;
        };
        let operation = &item[row.method.as_str().to_ascii_lowercase()];
        let reads_json = operation["requestBody"]["content"]
            .as_object()
            .is_some_and(|content| content.contains_key("application/json"));
        let is_tried = !matches!(row.json, JsonCheck::OfBody) || row.body.is_json();
        assert!(
            !reads_json || is_tried,
            "{} {} reads JSON: give its row in tests/api/authorization_matrix/rows.rs a body of it",
            row.method,
            row.route
        );
    }
}
