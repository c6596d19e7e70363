//! That a cursor is good for the list that gave it alone: tried with every list that has pages.

use std::collections::BTreeSet;

use serde_json::json;
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::{
    AUDIT_LOG, CONSUME, GRANTS, ORGANIZATIONS, TRANSACTIONS, USAGE_SUMMARY, fresh_key, sql_id,
    unique,
};
use turnpike_tests::pools::billing_path;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::analytics_platform::PLATFORM;
use crate::entitlements::ENTITLEMENTS;
use crate::metering::{meter, send};
use crate::plans::PLANS;
use crate::subscriptions::SUBSCRIPTIONS;
use crate::usage_alerts::{ALERTS, FIRINGS};

api_tests![
    a_cursor_is_good_for_its_list_alone,
    every_list_with_pages_is_tried,
];

/// A list of somebody's, which has more than one item.
struct List {
    /// Its `operationId`.
    operation: &'static str,
    path: String,
    /// The parameters that it is asked for by.
    filter: &'static str,
    /// The same list by other ones.
    other: Option<String>,
}

impl List {
    fn new(operation: &'static str, path: impl Into<String>, filter: &'static str) -> Self {
        Self {
            operation,
            path: path.into(),
            filter,
            other: None,
        }
    }

    /// The same list with other parameters.
    fn but_by(self, filter: &str) -> Self {
        let path = format!("{}?{filter}", self.path);
        self.but_at(path)
    }

    /// The same list below something else.
    fn but_at(mut self, path: String) -> Self {
        self.other = Some(path);
        self
    }

    fn call(&self, host: &TestHost, token: &str, more: &str) -> Call {
        host.get(format!("{}?{}{more}", self.path, self.filter))
            .bearer(token)
    }

    /// The cursor of the second page.
    async fn cursor(&self, host: &TestHost, token: &str) -> String {
        let page = self.call(host, token, "&limit=1").send().await.expect(200);
        page.text_at("/next_cursor")
    }
}

async fn post(host: &TestHost, user: &User, path: &str, body: serde_json::Value) -> String {
    let call = host.post(path).bearer(&user.token);
    let call = call.idempotency_key(&fresh_key()).json(&body);
    let made = call.settle().await.expect(201);
    made.json().to_string()
}

/// Gives every list of the user's at least two items. They are an admin of the platform, who may
/// read them all.
async fn fill(host: &TestHost, user: &User) -> Vec<List> {
    let organization = host.organization_of(user).await;
    let codes = [unique(), unique()].map(|n| format!("plan{n}"));
    for code in &codes {
        let plan =
            json!({"code": code, "name": "Plan", "currency": "USD", "billing_period": "month"});
        post(host, user, PLANS, plan).await;
        for amount in ["1", "2"] {
            let model = json!({"type": "flat", "amount": amount});
            let charge =
                json!({"code": "base", "name": "Base", "billing": "advance", "model": model});
            let terms = json!({"currency": "USD", "charges": [charge]});
            post(host, user, &format!("{PLANS}/{code}/versions"), terms).await;
        }
    }
    meter(host, &user.token, "calls", "count", json!({})).await;
    for name in ["first", "second"] {
        let alert =
            json!({"name": name, "meter": "calls", "period": "day", "thresholds": ["1", "2"]});
        post(host, user, ALERTS, alert).await;
        let entitlement = json!({"feature": name, "subject": "cus_42", "type": "boolean"});
        post(host, user, ENTITLEMENTS, entitlement).await;
        for currency in ["USD", "EUR"] {
            host.grant(user, user, "5", currency).await;
            let terms = json!({"currency": currency});
            host.pool_grant(user, organization, "5", terms).await;
        }
        let member = host.member_of(organization, "member").await;
        host.allocate(user, organization, &member, "1", "never")
            .await;
        let spend = json!({"amount": "1", "currency": "USD", "service": name, "model": name});
        post(host, user, CONSUME, spend).await;
    }
    // The platform's own log has what happens to nobody.
    for _ in 0..2 {
        let nobody = format!("nobody{}@example.com", unique());
        let login = host.login_call(&nobody, "not the password");
        login.send().await.expect(401);
    }
    let events = json!([{"id": "a", "type": "call"}, {"id": "b", "type": "call"}]);
    assert_eq!(send(host, &user.token, &events).await, [2, 0, 0]);
    let rows = host
        .query(&format!(
            "SELECT prefixed_id('ual_', a.id) FROM usage_alerts a
               JOIN memberships m USING (organization_id) WHERE m.user_id = {}",
            sql_id(user.id)
        ))
        .await;
    let alerts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for organization in [
        organization,
        host.organization_of(&host.new_user("customer").await).await,
    ] {
        let terms = json!({
            "plan": "team", "seats": 1, "status": "active", "billing_period": "month",
            "seat_price": {"amount": "1", "currency": "USD"},
        });
        let call = host.put(billing_path(organization, "subscription"));
        let call = call.bearer(&user.token).json(&terms);
        call.settle().await.expect(201);
    }
    let account = format!("acc_{}", organization.as_uuid().simple());
    let mut subscriptions = Vec::new();
    for code in &codes {
        let new = json!({"account_id": account, "plan": code});
        let made = post(host, user, SUBSCRIPTIONS, new).await;
        let made: serde_json::Value = serde_json::from_str(&made).expect("an answer is JSON");
        let id = made["subscription"]["id"].as_str().unwrap_or_default();
        let price = json!({"amount": "3", "currency": "USD"});
        let change = json!({"price_overrides": [{"charge": "base", "price": price}]});
        let call = host.post(format!("{SUBSCRIPTIONS}/{id}/change"));
        let call = call.bearer(&user.token).idempotency_key(&fresh_key());
        call.json(&change).settle().await.expect(200);
        subscriptions.push(id.to_owned());
    }
    let of_subscription = |id: &str, what: &str| format!("{SUBSCRIPTIONS}/{id}/{what}");
    let pool = |rest: &str| billing_path(organization, &format!("credit-pool/{rest}"));
    let firings = |alert: &str| format!("{ALERTS}/{alert}/firings");
    let versions = |code: &str| format!("{PLANS}/{code}/versions");
    vec![
        List::new("accounts-list", "/api/v1/accounts", "status=active").but_by(""),
        List::new("subscriptions-list", SUBSCRIPTIONS, "").but_by("status=active"),
        List::new(
            "subscriptions-adjustments",
            of_subscription(&subscriptions[0], "adjustments"),
            "",
        )
        .but_at(of_subscription(&subscriptions[1], "adjustments")),
        List::new(
            "subscriptions-changes",
            of_subscription(&subscriptions[0], "changes"),
            "",
        )
        .but_at(of_subscription(&subscriptions[1], "changes")),
        List::new("audit-log-list", AUDIT_LOG, "since=2020-01-01T00:00:00Z")
            .but_by("since=2020-01-02T00:00:00Z"),
        List::new(
            "audit-log-list-platform",
            format!("{AUDIT_LOG}/platform"),
            "since=2020-01-01T00:00:00Z",
        )
        .but_by("since=2020-01-02T00:00:00Z"),
        List::new("credits-grants", GRANTS, "currency=USD").but_by("currency=EUR"),
        List::new("credits-grants", GRANTS, "").but_by("currency=USD"),
        List::new("credits-transactions", TRANSACTIONS, "currency=USD")
            .but_by("currency=USD&kind=grant"),
        List::new("credits-transactions", TRANSACTIONS, "").but_by("currency=USD"),
        List::new("credits-usage-summary", USAGE_SUMMARY, "group_by=service")
            .but_by("group_by=model"),
        List::new("entitlements-list", ENTITLEMENTS, "subject=cus_42").but_by("feature=first"),
        List::new(
            "analytics-organizations",
            format!("{PLATFORM}/organizations"),
            "currency=USD",
        )
        .but_by("currency=EUR"),
        List::new("credit-pool-allocations-list", pool("allocations"), "").but_by("currency=EUR"),
        List::new(
            "credit-pool-transactions",
            pool("transactions"),
            "kind=grant",
        )
        .but_by(""),
        List::new(
            "organization-billing-members",
            billing_path(organization, "members"),
            "",
        )
        .but_by("currency=EUR"),
        List::new(
            "organization-members",
            format!("{ORGANIZATIONS}/{organization}/members"),
            "",
        ),
        List::new("plans-list", PLANS, ""),
        List::new("plan-versions-list", versions(&codes[0]), "").but_at(versions(&codes[1])),
        List::new("usage-alert-firings", FIRINGS, ""),
        List::new("usage-alerts-list", ALERTS, ""),
        List::new("usage-alerts-firings", firings(&alerts[0]), "").but_at(firings(&alerts[1])),
    ]
}

async fn refused(call: Call) {
    let fields = ["cursor"];
    let response = call.settle().await;
    response.expect_fields(400, "invalid_parameter", &fields);
}

/// A path with one more parameter.
fn with(path: &str, parameter: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{parameter}")
}

async fn a_cursor_is_good_for_its_list_alone(host: &TestHost) {
    let ada = host.platform_admin().await;
    let eve = host.platform_admin().await;
    let lists = fill(host, &ada).await;
    let of_eve = fill(host, &eve).await;
    // Somebody else of ada's organization, who may read as much.
    let organization = host.organization_of(&ada).await;
    let bob = host.member_of(organization, "owner").await;
    host.execute(&format!(
        "UPDATE users SET platform_role = 'platform_admin' WHERE id = {}",
        sql_id(bob.id)
    ))
    .await;
    let other_session = host.issue_token(&ada).await;
    // The same person, in the organization of somebody else.
    let eves = host.organization_of(&eve).await;
    host.execute(&format!(
        "INSERT INTO memberships (organization_id, user_id, role) VALUES ('{}', {}, 'owner')",
        eves.as_uuid(),
        sql_id(ada.id)
    ))
    .await;
    let elsewhere = host.token_in(&ada, eves).await;
    let mut cursors = Vec::new();
    for list in &lists {
        cursors.push(list.cursor(host, &ada.token).await);
    }
    for ((list, same_of_eve), cursor) in lists.iter().zip(&of_eve).zip(&cursors) {
        let goes_on = format!("&cursor={cursor}");
        for (token, more) in [
            (&ada.token, "&limit=1"),
            (&ada.token, ""),
            (&ada.token, "&limit=100&_=1"),
            (&other_session, "&limit=2"),
        ] {
            let call = list.call(host, token, &format!("{goes_on}{more}"));
            let page = call.settle().await;
            assert_eq!(page.status, 200, "{}{more}\n{page}", list.operation);
        }
        for other in cursors.iter().filter(|other| *other != cursor) {
            refused(list.call(host, &ada.token, &format!("&cursor={other}"))).await;
        }
        if let Some(path) = &list.other {
            let path = with(path, &format!("cursor={cursor}"));
            refused(host.get(path).bearer(&ada.token)).await;
        }
        refused(list.call(host, &bob.token, &goes_on)).await;
        let call = list.call(host, &elsewhere, &goes_on);
        if list.path.starts_with(&format!("{ALERTS}/")) {
            call.settle().await.expect(404);
        } else if !list.path.contains(&organization.to_string()) {
            refused(call).await;
        }
        refused(same_of_eve.call(host, &eve.token, &goes_on)).await;
        let last = cursor.len() - 1;
        for at in [0, 1, 2, 10, last - 1] {
            let mut changed = cursor.clone();
            let other = if &cursor[at..=at] == "A" { "B" } else { "A" };
            changed.replace_range(at..=at, other);
            refused(list.call(host, &ada.token, &format!("&cursor={changed}"))).await;
        }
    }
    // Each list ends, page by page, with everything once.
    for list in &lists {
        let (mut pages, mut cursor) = (BTreeSet::new(), String::new());
        loop {
            let more = format!("&limit=1{cursor}");
            let page = list
                .call(host, &ada.token, &more)
                .settle()
                .await
                .expect(200);
            let mut shown = page.json();
            let next = shown["next_cursor"].take();
            assert!(
                pages.insert(shown.to_string()),
                "{} repeats itself\n{page}",
                list.operation
            );
            match next.as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(
            pages.len() > 1,
            "{} has {} pages",
            list.operation,
            pages.len()
        );
    }
}

async fn every_list_with_pages_is_tried(host: &TestHost) {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let described: BTreeSet<String> = description
        .operations()
        .filter(|(_, _, operation)| {
            let parameters = operation["parameters"].as_array();
            parameters.is_some_and(|all| all.iter().any(|p| p["name"] == "cursor"))
        })
        .map(|(_, _, operation)| {
            operation["operationId"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let ada = host.platform_admin().await;
    let lists = fill(host, &ada).await;
    let tried = lists.iter().map(|list| list.operation.to_owned());
    assert_eq!(
        described,
        tried.collect(),
        "left what is described, right what is tried here"
    );
}
