use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{METERS, meter, send, total};
use crate::refusals::refuse;

fn valid(slug: &str) -> Value {
    json!({"slug": slug, "event_type": "call", "aggregation": "sum", "value_property": "n"})
}

async fn list(host: &TestHost, token: &str) -> Vec<String> {
    let response = host.get(METERS).bearer(token).send().await.expect(200);
    let body = response.json();
    let meters = body["meters"].as_array().cloned().unwrap_or_default();
    meters
        .iter()
        .map(|m| m["slug"].as_str().unwrap_or_default().to_owned())
        .collect()
}

api_tests![
    is_made_listed_and_archived,
    counts_from_its_making_to_its_archiving,
    counts_what_passes_its_filters,
    a_name_is_used_once,
    there_are_so_many,
    belongs_to_its_organization,
    refuses
];

async fn is_made_listed_and_archived(host: &TestHost) {
    let user = host.new_user("ada").await;
    let body = json!({"slug": "tokens", "event_type": "completion", "aggregation": "average",
                      "value_property": "usage.tokens", "group_by": ["model", "region.name"],
                      "filters": [{"property": "tier", "op": "in", "value": ["a", 1, true]}]});
    let made = host
        .post(METERS)
        .bearer(&user.token)
        .json(&body)
        .send()
        .await
        .expect(201);
    let shown = made.json()["meter"].clone();
    for (name, value) in body.as_object().into_iter().flatten() {
        assert_eq!(&shown[name], value, "{name}");
    }
    assert!(made.text_at("/meter/id").starts_with("mtr_"));
    meter(host, &user.token, "calls", "count", json!({})).await;
    assert_eq!(
        list(host, &user.token).await,
        ["calls", "tokens"],
        "newest first"
    );
    let path = format!("{METERS}/tokens");
    let read = host.get(&path).bearer(&user.token).send().await.expect(200);
    assert_eq!(read.json()["meter"], shown);
    let archive = host.delete(&path).bearer(&user.token);
    let archived = archive.send().await.expect(200);
    assert!(
        archived.json()["meter"]["archived_at"].is_string(),
        "{archived}"
    );
    let again = archive.send().await.expect(200);
    assert_eq!(again.json(), archived.json(), "twice is once");
    assert_eq!(list(host, &user.token).await.len(), 2);
    let rows = host
        .query(
            "SELECT event_type FROM audit_events WHERE event_type LIKE 'meter.%' ORDER BY sequence",
        )
        .await;
    let events: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(events, ["meter.created", "meter.created", "meter.archived"]);
    host.assert_audit_log_is_sound().await;
}

async fn counts_from_its_making_to_its_archiving(host: &TestHost) {
    let user = host.new_user("ada").await;
    let call = |id: &str| json!({"id": id, "type": "call"});
    send(host, &user.token, &call("before")).await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    send(host, &user.token, &call("during")).await;
    send(host, &user.token, &json!({"id": "other", "type": "other"})).await;
    let path = format!("{METERS}/calls");
    host.delete(path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    send(host, &user.token, &call("after")).await;
    assert_eq!(total(host, &user.token, "meter=calls").await.1, 1);
}

async fn counts_what_passes_its_filters(host: &TestHost) {
    let user = host.new_user("ada").await;
    let filter = |op: &str, value: Value| json!([{"property": "a.b", "op": op, "value": value}]);
    let table: [(&str, Value, u64); 8] = [
        ("eq-text", filter("eq", json!("x")), 2),
        ("eq-number", filter("eq", json!(1)), 2),
        ("eq-true", filter("eq", json!(true)), 1),
        ("ne-text", filter("ne", json!("x")), 5),
        ("in", filter("in", json!(["x", 1, "z"])), 4),
        ("in-none", filter("in", json!([])), 0),
        (
            "both",
            json!([filter("ne", json!("x"))[0], filter("ne", json!(1))[0]]),
            3,
        ),
        ("none", json!([]), 7),
    ];
    for (slug, filters, _) in &table {
        meter(
            host,
            &user.token,
            slug,
            "count",
            json!({"filters": filters}),
        )
        .await;
    }
    let values = [
        json!("x"),
        json!(1),
        json!(1.0),
        json!(true),
        json!(null),
        // Equal to what is in it.
        json!(["x"]),
    ];
    let mut events: Vec<Value> = values
        .iter()
        .enumerate()
        .map(|(n, value)| json!({"id": n.to_string(), "type": "call", "properties": {"a": {"b": value}}}))
        .collect();
    events.push(json!({"id": "none", "type": "call"}));
    assert_eq!(send(host, &user.token, &json!(events)).await, [7, 0, 0]);
    for (slug, _, expected) in table {
        let query = format!("meter={slug}");
        assert_eq!(total(host, &user.token, &query).await.1, expected, "{slug}");
    }
}

async fn a_name_is_used_once(host: &TestHost) {
    let user = host.new_user("ada").await;
    let make = host.post(METERS).bearer(&user.token).json(&valid("tokens"));
    let made = join_all((0..8).map(|_| make.settle())).await;
    let count = made
        .iter()
        .filter(|response| response.status == 201)
        .count();
    // The winner's answer may be lost on a busy machine, and its second attempt be too late.
    assert!(count <= 1, "of those side by side one");
    refuse(host, make.clone(), 409, "meter_exists", &[]).await;
    let path = format!("{METERS}/tokens");
    host.delete(path)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    refuse(host, make, 409, "meter_exists", &[]).await;
}

async fn there_are_so_many(host: &TestHost) {
    let user = host.new_user("ada").await;
    let organization = host.organization_of(&user).await.as_uuid();
    let make = |slug: &str| host.post(METERS).bearer(&user.token).json(&valid(slug));
    host.execute(&format!(
        "INSERT INTO meters (organization_id, id, slug, event_type, aggregation)
         SELECT '{organization}', owned_id('{organization}', gen_random_uuid()), 'm' || n,
                CASE WHEN n <= 19 THEN 'call' ELSE 'other' END, 'count' FROM generate_series(1, 48) n"
    ))
    .await;
    make("last").send().await.expect(201);
    // There are 49, and 20 of them count events of one type.
    refuse(host, make("over"), 409, "meter_limit", &[]).await;
    host.delete(format!("{METERS}/m1"))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    for slug in ["another", "third"] {
        let body = json!({"slug": slug, "event_type": "new", "aggregation": "count"});
        let make = host.post(METERS).bearer(&user.token).json(&body);
        make.send().await.expect(201);
    }
    // There are 50, and 19 of them count events of the type.
    refuse(host, make("over"), 409, "meter_limit", &[]).await;
    host.delete(format!("{METERS}/last"))
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    make("over").send().await.expect(201);
    host.execute(&format!(
        "UPDATE meters SET archived_at = now();
         INSERT INTO meters (organization_id, id, slug, event_type, aggregation, archived_at)
         SELECT '{organization}', owned_id('{organization}', gen_random_uuid()), 'n' || n, 'call', 'count', now() FROM generate_series(1, 148) n"
    ))
    .await;
    refuse(host, make("ever"), 409, "meter_limit", &[]).await;
    assert_eq!(list(host, &user.token).await.len(), 200);
}

async fn belongs_to_its_organization(host: &TestHost) {
    let (ada, eve) = (host.new_user("ada").await, host.new_user("eve").await);
    meter(host, &ada.token, "calls", "count", json!({})).await;
    assert!(list(host, &eve.token).await.is_empty());
    let path = format!("{METERS}/calls");
    for call in [host.get(&path), host.delete(&path)] {
        refuse(host, call.bearer(&eve.token), 404, "not_found", &[]).await;
    }
    meter(host, &eve.token, "calls", "count", json!({})).await;
    let organization = host.organization_of(&ada).await;
    let member = host.member_of(organization, "member").await;
    for call in [host.get(METERS), host.get(&path), host.delete(&path)] {
        refuse(host, call.bearer(&member.token), 403, "forbidden", &[]).await;
    }
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let with = |name: &str, value: Value| {
        let mut body = valid("tokens");
        body[name] = value;
        host.post(METERS).bearer(&user.token).json(&body)
    };
    let filter = |op: &str, value: Value| json!([{"property": "a", "op": op, "value": value}]);
    let table = [
        ("slug", json!("Tokens")),
        ("slug", json!("1st")),
        ("slug", json!("")),
        ("slug", json!("t".repeat(65))),
        ("slug", json!(1)),
        ("event_type", json!("")),
        ("event_type", json!("a\0")),
        ("event_type", json!("t".repeat(65))),
        ("aggregation", json!("median")),
        ("aggregation", json!(null)),
        ("value_property", json!(null)),
        ("value_property", json!("a..b")),
        ("value_property", json!("a.b.c.d.e")),
        ("value_property", json!("a b")),
        ("group_by", json!(["a", "b", "c", "d", "e"])),
        ("group_by", json!(["a", "a"])),
        ("group_by", json!("a")),
        ("filters", json!({})),
        ("filters[0].op", filter("gt", json!(1))),
        ("filters[0].value", filter("eq", json!([1]))),
        ("filters[0].value", filter("eq", json!(null))),
        ("filters[0].value", filter("in", json!("x"))),
        ("filters[0].value", filter("in", json!(vec![1; 21]))),
    ];
    for (place, value) in table {
        let name = place.split('[').next().unwrap_or_default();
        refuse(host, with(name, value), 422, "invalid_fields", &[place]).await;
    }
    for slug in ["none", "Tokens", "%00", "a.b", "x'y"] {
        let call = host.get(format!("{METERS}/{slug}")).bearer(&user.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    assert!(list(host, &user.token).await.is_empty());
}
