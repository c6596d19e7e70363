use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::metering::{meter, send};
use crate::refusals::refuse;

/// The path of the alerts.
pub const ALERTS: &str = "/api/v1/usage/alerts";
/// The path of what all of them fired.
pub const FIRINGS: &str = "/api/v1/usage/alert-firings";

/// An alert on the meter `sum` over a month.
pub fn alert(thresholds: &[&str]) -> Value {
    json!({"name": "Budget", "meter": "sum", "period": "month", "thresholds": thresholds})
}

/// The same with another field.
pub fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

/// A request that makes an alert.
pub fn make_call(host: &TestHost, user: &User, body: &Value) -> Call {
    host.post(ALERTS).bearer(&user.token).json(body)
}

/// Makes an alert; returns its id.
pub async fn make(host: &TestHost, user: &User, body: &Value) -> String {
    let made = make_call(host, user, body).settle().await.expect(201);
    made.text_at("/alert/id")
}

/// Somebody whose meter `sum` adds up `n` of the calls.
pub async fn metered(host: &TestHost, name: &str) -> User {
    let user = host.new_user(name).await;
    meter(host, &user.token, "sum", "sum", json!({})).await;
    user
}

/// A call of `n`.
pub fn call(id: &str, n: impl Into<Value>) -> Value {
    json!({"id": id, "type": "call", "properties": {"n": n.into()}})
}

/// What a path shows.
pub async fn page(host: &TestHost, user: &User, path: &str) -> Value {
    let call = host.get(path).bearer(&user.token);
    call.send().await.expect(200).json()
}

/// What fired, oldest first: the thresholds, and the values that they fired at.
pub async fn fired(host: &TestHost, user: &User) -> Vec<(String, String)> {
    let body = page(host, user, &format!("{FIRINGS}?limit=100")).await;
    let mut firings = body["firings"].as_array().cloned().unwrap_or_default();
    firings.reverse();
    let text = |firing: &Value, name: &str| firing[name].as_str().unwrap_or_default().to_owned();
    let pair = |firing: &Value| (text(firing, "threshold"), text(firing, "value"));
    firings.iter().map(pair).collect()
}

api_tests![
    is_made_listed_and_archived,
    pages_what_fired,
    there_are_so_many,
    nobody_is_flooded,
    belongs_to_its_organization,
    refuses,
];

async fn is_made_listed_and_archived(host: &TestHost) {
    let user = metered(host, "ada").await;
    let body = json!({"name": "Budget", "meter": "sum", "subject": "cus_42", "period": "month",
                      "thresholds": ["0.5", "800000", "999999999999.999999999"], "email": "ops@example.com"});
    let made = make_call(host, &user, &body).send().await.expect(201);
    let shown = made.json()["alert"].clone();
    for (name, value) in body.as_object().into_iter().flatten() {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert!(made.text_at("/alert/id").starts_with("ual_"));
    assert_eq!(shown["archived_at"], Value::Null);
    let loose = with(alert(&["1.50"]), "email", json!("Ops@Example.COM "));
    let second = make_call(host, &user, &loose).send().await.expect(201);
    assert_eq!(second.json()["alert"]["thresholds"], json!(["1.5"]));
    assert_eq!(second.json()["alert"]["email"], "ops@example.com");
    assert_eq!(second.json()["alert"]["subject"], Value::Null);

    let first_page = page(host, &user, &format!("{ALERTS}?limit=1")).await;
    assert_eq!(first_page["alerts"], json!([second.json()["alert"]]));
    let cursor = first_page["next_cursor"].as_str().unwrap_or_default();
    let rest = page(host, &user, &format!("{ALERTS}?cursor={cursor}")).await;
    assert_eq!(rest, json!({"alerts": [shown], "next_cursor": null}));

    let path = format!("{ALERTS}/{}", made.text_at("/alert/id"));
    assert_eq!(page(host, &user, &path).await["alert"], shown);
    let archive = host.delete(&path).bearer(&user.token);
    let archived = archive.send().await.expect(200).json();
    assert!(archived["alert"]["archived_at"].is_string(), "{archived}");
    assert_eq!(archive.send().await.expect(200).json(), archived);
    assert_eq!(page(host, &user, &path).await, archived);
    let events = host
        .query("SELECT event_type, detail ->> 'name' FROM audit_events WHERE event_type LIKE 'usage_alert.%' ORDER BY sequence")
        .await;
    let events: Vec<(String, String)> = events.iter().map(|e| (e.get(0), e.get(1))).collect();
    let expected = ["created", "created", "archived"]
        .map(|what| (format!("usage_alert.{what}"), "Budget".to_owned()));
    assert_eq!(events, expected);
}

async fn pages_what_fired(host: &TestHost) {
    let user = metered(host, "ada").await;
    let all: Vec<String> = (1..=9).map(|n| n.to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let ids = [
        make(host, &user, &alert(&all)).await,
        make(host, &user, &alert(&all[..5])).await,
    ];
    send(host, &user.token, &call("a", 9)).await;
    for (path, expected) in [
        (FIRINGS.to_owned(), 14),
        (format!("{ALERTS}/{}/firings", ids[0]), 9),
        (format!("{ALERTS}/{}/firings", ids[1]), 5),
    ] {
        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = String::new();
        let mut pages = 0;
        loop {
            let body = page(host, &user, &format!("{path}?limit=4{cursor}")).await;
            let firings = body["firings"].as_array().cloned().unwrap_or_default();
            seen.extend(
                firings
                    .iter()
                    .map(|f| format!("{} {}", f["alert_id"], f["threshold"])),
            );
            pages += 1;
            match body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((seen.len(), pages), (expected, expected / 4 + 1), "{path}");
    }
}

async fn there_are_so_many(host: &TestHost) {
    let user = metered(host, "ada").await;
    let organization = host.organization_of(&user).await.as_uuid();
    host.execute(&format!(
        "INSERT INTO usage_alerts (organization_id, id, name, meter_id, subject, period, thresholds)
         SELECT organization_id, owned_id(organization_id, gen_random_uuid()), 'Alert', id, 'cus_' || n, 'day', '{{1}}'
           FROM meters, generate_series(1, 49) n WHERE organization_id = '{organization}'"
    ))
    .await;
    let made = join_all((0..4).map(|_| async {
        let call = make_call(host, &user, &alert(&["1"]));
        call.settle().await
    }))
    .await;
    let ids: Vec<String> = made
        .iter()
        .filter(|response| response.status == 201)
        .map(|response| response.text_at("/alert/id"))
        .collect();
    assert_eq!(ids.len(), 1, "of those side by side one is the fiftieth");
    refuse(
        host,
        make_call(host, &user, &alert(&["1"])),
        409,
        "usage_alert_limit",
        &[],
    )
    .await;
    let path = format!("{ALERTS}/{}", ids[0]);
    host.delete(path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    make(host, &user, &alert(&["1"])).await;
}

async fn nobody_is_flooded(host: &TestHost) {
    let user = metered(host, "ada").await;
    let named = |email: &str| with(alert(&["1"]), "email", json!(email));
    for _ in 0..5 {
        make(host, &user, &named("eve@example.com")).await;
    }
    let response = make_call(host, &user, &named("eve@example.com"))
        .send()
        .await;
    let response = response.expect_problem(429, "too_many_requests");
    assert!(response.header("retry-after").is_some(), "{response}");
    // A member who proved theirs takes what the organization sends.
    host.verify_email(&user).await;
    for _ in 0..7 {
        make(host, &user, &named(&user.email)).await;
    }
}

async fn belongs_to_its_organization(host: &TestHost) {
    let ada = metered(host, "ada").await;
    let eve = metered(host, "eve").await;
    let id = make(host, &ada, &alert(&["10"])).await;
    send(host, &ada.token, &call("a", 10)).await;
    let path = format!("{ALERTS}/{id}");
    for call in [
        host.get(&path),
        host.delete(&path),
        host.get(format!("{path}/firings")),
    ] {
        refuse(host, call.bearer(&eve.token), 404, "not_found", &[]).await;
    }
    assert_eq!(page(host, &eve, ALERTS).await["alerts"], json!([]));
    send(host, &eve.token, &call("a", 10)).await;
    assert!(fired(host, &eve).await.is_empty());
    assert_eq!(fired(host, &ada).await.len(), 1);
    meter(host, &ada.token, "own", "sum", json!({})).await;
    let call = make_call(host, &eve, &with(alert(&["1"]), "meter", json!("own")));
    refuse(host, call, 422, "invalid_fields", &["meter"]).await;
    let organization = host.organization_of(&ada).await;
    let member = host.member_of(organization, "member").await;
    for call in [
        make_call(host, &member, &alert(&["1"])),
        host.get(ALERTS).bearer(&member.token),
        host.delete(&path).bearer(&member.token),
        host.get(FIRINGS).bearer(&member.token),
    ] {
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    let reader = host.issue_api_key(&ada, &["usage:read"]).await.key;
    host.get(FIRINGS).bearer(&reader).send().await.expect(200);
    let call = host.delete(&path).bearer(&reader);
    refuse(host, call, 403, "forbidden", &[]).await;
}

async fn refuses(host: &TestHost) {
    let user = metered(host, "ada").await;
    for (slug, aggregation) in [
        ("high", "max"),
        ("who", "unique_count"),
        ("mean", "average"),
    ] {
        meter(host, &user.token, slug, aggregation, json!({})).await;
    }
    let valid = alert(&["1"]);
    host.execute("DELETE FROM usage_alerts").await;
    let eleven: Vec<String> = (1..=11).map(|n| n.to_string()).collect();
    let table = [
        ("name", json!("")),
        ("name", json!("a\0")),
        ("name", json!("n".repeat(101))),
        ("name", json!(1)),
        ("meter", json!("none")),
        ("meter", json!("high")),
        ("meter", json!("who")),
        ("meter", json!("mean")),
        ("meter", json!("")),
        ("meter", json!("m'x")),
        ("subject", json!("")),
        ("subject", json!("s".repeat(129))),
        ("subject", json!(1)),
        ("period", json!("year")),
        ("period", json!(null)),
        ("thresholds", json!([])),
        ("thresholds", json!("1")),
        ("thresholds[0]", json!([1])),
        ("thresholds[0]", json!(["0"])),
        ("thresholds[0]", json!(["-1"])),
        ("thresholds[0]", json!(["NaN"])),
        ("thresholds", json!(["1", "1.0"])),
        ("thresholds", json!(["2", "1"])),
        ("thresholds[0]", json!(["1000000000000"])),
        ("thresholds[0]", json!(["0.0000000001"])),
        ("thresholds", json!(eleven)),
        ("email", json!("ops")),
        ("email", json!(1)),
        ("currency", json!("USD")),
    ];
    for (place, value) in table {
        let name = place.split('[').next().unwrap_or_default();
        let call = make_call(host, &user, &with(valid.clone(), name, value));
        refuse(host, call, 422, "invalid_fields", &[place]).await;
    }
    let call = make_call(host, &user, &json!({}));
    let fields = ["name", "meter", "period", "thresholds"];
    refuse(host, call, 422, "invalid_fields", &fields).await;
    for id in [
        "ual_0199a2c4e2447b3c8d5e6f708192a3b5",
        "mtr_0199a2c4e2447b3c8d5e6f708192a3b5",
        "none",
        "x'y",
    ] {
        for path in [format!("{ALERTS}/{id}"), format!("{ALERTS}/{id}/firings")] {
            let call = host.get(path).bearer(&user.token);
            refuse(host, call, 404, "not_found", &[]).await;
        }
    }
    for path in [ALERTS, FIRINGS] {
        for (query, name) in [("limit=0", "limit"), ("cursor=x", "cursor")] {
            let call = host.get(format!("{path}?{query}")).bearer(&user.token);
            refuse(host, call, 400, "invalid_parameter", &[name]).await;
        }
    }
    assert_eq!(page(host, &user, ALERTS).await["alerts"], json!([]));
}
