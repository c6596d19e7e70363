use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::personas::unique;
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::accounts::ACCOUNTS;
use crate::refusals::refuse;

/// Most accounts of one request.
const MAX_ITEMS: usize = 1_000;

api_tests![
    each_has_an_answer_of_its_own,
    as_many_as_there_may_be,
    at_once_they_wait_for_each_other,
    shows_at_once,
    refuses,
];

fn bulk(host: &TestHost, admin: &User, items: &Value) -> Call {
    host.post(format!("{ACCOUNTS}/bulk"))
        .bearer(&admin.token)
        .json(&json!({"items": items}))
}

/// The answers of a request.
async fn write(host: &TestHost, admin: &User, items: &Value) -> Vec<Value> {
    let answer = bulk(host, admin, items).settle().await.expect(200);
    assert_eq!(answer.db_queries(), 1, "{answer}");
    let body = answer.json();
    body["items"].as_array().cloned().unwrap_or_default()
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    let statuses = answers
        .iter()
        .filter_map(|answer| answer["status"].as_u64());
    statuses.collect()
}

async fn each_has_an_answer_of_its_own(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mark = unique();
    let made = write(
        host,
        &admin,
        &json!([
            {"create": {"name": "Ada", "external_id": format!("{mark}-z"), "metadata": {"a": "b"}}},
            {"create": {"name": "Bob", "external_id": format!("{mark}-a")}},
        ]),
    )
    .await;
    assert_eq!(statuses(&made), [201, 201]);
    assert_eq!(
        made[0]["account"]["name"], "Ada",
        "in the order of the request"
    );
    let (ada, bob) = (&made[0]["account"]["id"], &made[1]["account"]["id"]);
    let table: [(Value, u64, &str); 12] = [
        (
            json!({"update": {"id": ada, "version": 1, "change": {"phone": "1"}}}),
            200,
            "",
        ),
        // The first of the two has changed it.
        (
            json!({"update": {"id": ada, "version": 1, "change": {"phone": "2"}}}),
            412,
            "version_conflict",
        ),
        (
            json!({"update": {"id": bob, "change": {"external_id": format!("{mark}-z")}}}),
            409,
            "external_id_taken",
        ),
        (
            json!({"create": {"name": "Cyd", "external_id": format!("{mark}-a")}}),
            409,
            "external_id_taken",
        ),
        (
            json!({"create": {"name": "Cyd", "external_id": format!("{mark}-c")}}),
            201,
            "",
        ),
        (json!({"create": {"name": ""}}), 422, "invalid_fields"),
        (
            json!({"create": {"name": "Dot", "time_zone": "Mars"}}),
            422,
            "invalid_fields",
        ),
        (
            json!({"create": {"name": "Dot", "parent_id": ada}}),
            201,
            "",
        ),
        (
            json!({"update": {"id": bob, "change": {"planet": "Mars"}}}),
            422,
            "invalid_fields",
        ),
        (
            json!({"update": {"id": "acc_0199a2c4e2447b3c8d5e6f708192a3b4", "change": {"phone": "1"}}}),
            404,
            "not_found",
        ),
        (json!({}), 422, "invalid_fields"),
        (json!("Ada"), 422, "invalid_fields"),
    ];
    let items: Vec<&Value> = table.iter().map(|(item, ..)| item).collect();
    let answers = write(host, &admin, &json!(items)).await;
    assert_eq!(answers.len(), table.len());
    for ((item, status, code), answer) in table.iter().zip(&answers) {
        assert_eq!(answer["status"], *status, "{item}: {answer}");
        let shown = answer["problem"]["code"].as_str().unwrap_or_default();
        assert_eq!(shown, *code, "{item}: {answer}");
        assert_eq!(
            answer["account"].is_object(),
            code.is_empty(),
            "{item}: {answer}"
        );
    }
    assert_eq!(
        answers[5]["problem"]["errors"][0]["field"],
        "items[5].create.name"
    );
    assert_eq!(answers[6]["problem"]["errors"][0]["field"], "time_zone");
    let rows = host
        .query(&format!(
            "SELECT count(*) FROM billing_accounts WHERE external_id LIKE '{mark}-%'"
        ))
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 3);
    host.assert_audit_log_is_sound().await;
}

async fn as_many_as_there_may_be(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mark = unique();
    let creates: Vec<Value> = (0..MAX_ITEMS)
        .map(|n| json!({"create": {"name": "x", "external_id": format!("{mark}-{n}"), "metadata": {"n": n.to_string()}}}))
        .collect();
    let made = write(host, &admin, &json!(creates)).await;
    assert_eq!(statuses(&made), [201; MAX_ITEMS]);
    let updates: Vec<Value> = made
        .iter()
        .map(|answer| json!({"update": {"id": answer["account"]["id"], "version": 1, "change": {"name": "y"}}}))
        .collect();
    assert_eq!(
        statuses(&write(host, &admin, &json!(updates)).await),
        [200; MAX_ITEMS]
    );
    // Sent again, they are what they were to be.
    assert_eq!(
        statuses(&write(host, &admin, &json!(updates)).await),
        [200; MAX_ITEMS]
    );
    let again = write(host, &admin, &json!(creates)).await;
    assert_eq!(statuses(&again), [409; MAX_ITEMS]);
    let rows = host
        .query(&format!(
            "SELECT count(*), min(version), max(version) FROM billing_accounts WHERE external_id LIKE '{mark}-%'"
        ))
        .await;
    let found: (i64, i64, i64) = (rows[0].get(0), rows[0].get(1), rows[0].get(2));
    assert_eq!(found, (MAX_ITEMS as i64, 2, 2));
}

async fn at_once_they_wait_for_each_other(host: &TestHost) {
    host.fail_on_deadlock().await;
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let organization = host.organization_of(&owner).await;
    let mark = unique();
    let mut ids = Vec::new();
    for n in 0..4 {
        let member = host.member_of(organization, "member").await;
        let person =
            json!({"create": {"name": "x", "organization_id": organization, "user_id": member.id}});
        let own = json!({"create": {"name": "x", "external_id": format!("{mark}-{n}")}});
        let made = write(host, &admin, &json!([person, own])).await;
        ids.extend(made.iter().map(|answer| answer["account"]["id"].clone()));
    }
    // Each in an order of its own, and all want the same new external ids.
    let calls: Vec<Call> = (0..8)
        .map(|n| {
            let mut items: Vec<Value> = ids
                .iter()
                .map(|id| json!({"update": {"id": id, "change": {"metadata": {format!("k{n}"): "x"}}}}))
                .chain((0..4).map(|m| json!({"create": {"name": "x", "external_id": format!("{mark}-new-{m}")}})))
                .collect();
            let middle = n % items.len();
            items.rotate_left(middle);
            bulk(host, &admin, &json!(items))
        })
        .collect();
    for answer in join_all(calls.iter().map(Call::settle)).await {
        let body = answer.expect(200).json();
        let answers = body["items"].as_array().cloned().unwrap_or_default();
        assert!(
            statuses(&answers)
                .iter()
                .all(|status| matches!(status, 200 | 201 | 409)),
            "{body}"
        );
    }
    let rows = host
        .query(&format!(
            "SELECT count(*) FILTER (WHERE external_id LIKE '{mark}-new-%'),
                    count(*) FILTER (WHERE metadata ?& ARRAY(SELECT 'k' || n FROM generate_series(0, 7) n))
               FROM billing_accounts"
        ))
        .await;
    assert_eq!((rows[0].get::<_, i64>(0), rows[0].get::<_, i64>(1)), (4, 8));
}

async fn shows_at_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    let made = write(host, &admin, &json!([{"create": {"name": "x"}}])).await;
    let id = made[0]["account"]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let read = host.get(format!("{ACCOUNTS}/{id}")).bearer(&admin.token);
    for name in ["a", "b"] {
        host.warm(&read).await;
        write(
            host,
            &admin,
            &json!([{"update": {"id": id, "change": {"name": name}}}]),
        )
        .await;
        assert_eq!(read.send().await.expect(200).json()["name"], name);
    }
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let items = json!([{"create": {"name": "x"}}]);
    refuse(host, bulk(host, &owner, &items), 403, "forbidden", &[]).await;
    let many = json!(vec![json!({"create": {"name": "x"}}); MAX_ITEMS + 1]);
    for items in [json!([]), many] {
        refuse(
            host,
            bulk(host, &admin, &items),
            422,
            "invalid_fields",
            &["items"],
        )
        .await;
    }
    for items in [json!({}), json!(null)] {
        refuse(
            host,
            bulk(host, &admin, &items),
            422,
            "invalid_fields",
            &["items"],
        )
        .await;
    }
    // A member that is given twice is a mistake of the whole body.
    let call = host
        .post(format!("{ACCOUNTS}/bulk"))
        .bearer(&admin.token)
        .json_text(r#"{"items": [{"create": {"name": "x", "name": "y"}}]}"#);
    refuse(host, call, 422, "invalid_fields", &["items[0].create.name"]).await;
}
