use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::database::connect_without_timeouts;
use turnpike_tests::personas::{ME, ORGANIZATIONS, SESSION_ORGANIZATION, sql_id};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::refuse;

async fn names(host: &TestHost, token: &str) -> Vec<Value> {
    let listed = host
        .get(ORGANIZATIONS)
        .bearer(token)
        .send()
        .await
        .expect(200)
        .json();
    let organizations = listed["organizations"].as_array();
    organizations
        .into_iter()
        .flatten()
        .map(|organization| json!([organization["name"], organization["role"]]))
        .collect()
}

api_tests![
    makes_one_that_its_maker_owns,
    has_a_time_zone,
    a_new_zone_waits_before_it_holds_the_audit_log,
    nobody_owns_more_than_the_limit,
    refuses,
];

api_tests![
    fresh_too:
    a_new_name_is_seen_by_every_member,
];

async fn makes_one_that_its_maker_owns(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let made = host
        .post(ORGANIZATIONS)
        .bearer(&ada.token)
        .json(&json!({"name": " Engines "}))
        .send()
        .await
        .expect(201);
    let id = made.text_at("/id");
    assert_eq!(
        (made.text_at("/name"), made.text_at("/role")),
        ("Engines".to_owned(), "owner".to_owned())
    );
    assert_eq!(
        names(host, &ada.token).await,
        [json!(["Engines", "owner"]), json!([ada.email, "owner"])],
        "the latest joined first"
    );
    // The session goes on where it was.
    let path = format!("{ORGANIZATIONS}/{id}");
    refuse(
        host,
        host.get(&path).bearer(&ada.token),
        404,
        "not_found",
        &[],
    )
    .await;
    let changed = host
        .put(SESSION_ORGANIZATION)
        .bearer(&ada.token)
        .json(&json!({"organization_id": id}))
        .send()
        .await
        .expect(200);
    let token = changed.text_at("/access_token");
    let read = host.get(&path).bearer(&token).send().await.expect(200);
    assert_eq!(read.json(), made.json());
}

async fn a_new_name_is_seen_by_every_member(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let member = host.member_of(organization, "member").await;
    let calls = [&ada, &member].map(|user| host.get(ME).bearer(&user.token));
    for call in &calls {
        host.warm(call).await;
    }
    let rename = |name: &str| {
        host.patch(format!("{ORGANIZATIONS}/{organization}"))
            .bearer(&ada.token)
            .json(&json!({"name": name}))
    };
    for name in ["Engines", "Engines", "Analytical Engines"] {
        let renamed = rename(name).send().await.expect(200);
        assert_eq!(renamed.text_at("/name"), name);
        for call in &calls {
            let me = call.send().await.expect(200);
            assert_eq!(me.text_at("/organization_name"), name, "{me}");
        }
    }
    let rows = host
        .query("SELECT count(*) FROM audit_events WHERE event_type = 'organization.renamed'")
        .await;
    assert_eq!(rows[0].get::<_, i64>(0), 2, "the same name is no change");
}

async fn has_a_time_zone(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let organization = host.organization_of(&ada).await;
    let path = format!("{ORGANIZATIONS}/{organization}");
    let patch = |body: Value| host.patch(&path).bearer(&ada.token).json(&body);
    let get = || host.get(&path).bearer(&ada.token);
    let shown = get().send().await.expect(200);
    assert_eq!(shown.text_at("/time_zone"), "UTC");
    for (body, name, zone) in [
        (
            json!({"time_zone": "Asia/Kathmandu"}),
            ada.email.as_str(),
            "Asia/Kathmandu",
        ),
        (
            json!({"time_zone": "Asia/Kathmandu"}),
            &ada.email,
            "Asia/Kathmandu",
        ),
        (json!({"name": "Engines"}), "Engines", "Asia/Kathmandu"),
        (json!({"name": null, "time_zone": "UTC"}), "Engines", "UTC"),
        (
            json!({"name": "Looms", "time_zone": "Europe/Berlin"}),
            "Looms",
            "Europe/Berlin",
        ),
    ] {
        let changed = patch(body).send().await.expect(200);
        let shown = get().send().await.expect(200);
        assert_eq!(changed.json(), shown.json());
        assert_eq!(
            (shown.text_at("/name"), shown.text_at("/time_zone")),
            (name.to_owned(), zone.to_owned())
        );
    }
    let listed = host.get(ORGANIZATIONS).bearer(&ada.token);
    let listed = listed.send().await.expect(200);
    assert_eq!(
        listed.text_at("/organizations/0/time_zone"),
        "Europe/Berlin"
    );
    let rows = host
        .query(
            "SELECT event_type || ' ' || coalesce(detail ->> 'time_zone', '') FROM audit_events
              WHERE event_type IN ('organization.renamed', 'organization.time_zone_changed') ORDER BY sequence",
        )
        .await;
    let events: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        events,
        [
            "organization.time_zone_changed Asia/Kathmandu",
            "organization.renamed ",
            "organization.time_zone_changed UTC",
            "organization.renamed ",
            "organization.time_zone_changed Europe/Berlin",
        ],
        "the same zone is no change"
    );
    // What is refused changes neither.
    for zone in [
        json!("Nowhere5"),
        json!("europe/berlin"),
        json!("posix/Europe/Berlin"),
        json!("localtime"),
        json!("+01:00"),
        json!(""),
        json!("x".repeat(65)),
        json!(1),
    ] {
        let body = json!({"name": "Mills", "time_zone": zone});
        refuse(host, patch(body), 422, "invalid_fields", &["time_zone"]).await;
    }
    for body in [json!({}), json!({"time_zone": null})] {
        refuse(host, patch(body), 422, "invalid_fields", &["name"]).await;
    }
    let unknown = patch(json!({"time_zone": "Nowhere5"})).send().await;
    assert_eq!(unknown.text_at("/errors/0/code"), "unknown");
    let member = host.member_of(organization, "member").await;
    let body = json!({"time_zone": "UTC"});
    let theirs = host.patch(&path).bearer(&member.token).json(&body);
    refuse(host, theirs, 403, "forbidden", &[]).await;
    let shown = get().send().await.expect(200);
    assert_eq!(
        (shown.text_at("/name"), shown.text_at("/time_zone")),
        ("Looms".to_owned(), "Europe/Berlin".to_owned())
    );
}

/// Whoever archives an alert on usage holds the batches and then the audit log, so a
/// change that holds the log while it waits for the batches would wait in a circle.
async fn a_new_zone_waits_before_it_holds_the_audit_log(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let id = host.organization_of(&ada).await;
    let change = |name: &str, time_zone: &str| {
        host.patch(format!("{ORGANIZATIONS}/{id}"))
            .bearer(&ada.token)
            .json(&json!({"name": name, "time_zone": time_zone}))
    };
    change("Engines", "UTC").send().await.expect(200);
    let other = connect_without_timeouts(host.database_url()).await;
    let other = other.expect("the database can be reached");
    let hold = format!("BEGIN; SELECT usage_alerts_hold_alone('{}')", id.as_uuid());
    other.batch_execute(&hold).await.expect("nobody holds it");
    let releasing = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event = 'advisory'";
        for _ in 0..500 {
            if host.query(waiting).await[0].get::<_, i64>(0) > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let log = format!(
            "SELECT 1 FROM audit_heads WHERE organization_id = '{}' FOR UPDATE NOWAIT; COMMIT",
            id.as_uuid()
        );
        other.batch_execute(&log).await
    };
    let call = change("Looms", "Europe/Berlin");
    let (changed, released) = futures::join!(call.send(), releasing);
    released.expect("whoever waits does not hold the log");
    let changed = changed.expect(200);
    assert_eq!(changed.text_at("/time_zone"), "Europe/Berlin");
}

async fn nobody_owns_more_than_the_limit(host: &TestHost) {
    let ada = host.new_user("ada").await;
    // With the one of the sign-up these are 97.
    host.execute(&format!(
        "WITH made AS (
             INSERT INTO organizations (id, name) SELECT gen_random_uuid(), 'o' FROM generate_series(1, 96)
             RETURNING id)
         INSERT INTO memberships (organization_id, user_id, role) SELECT id, {}, 'owner' FROM made",
        sql_id(ada.id)
    ))
    .await;
    let calls = (0..10).map(|_| {
        host.post(ORGANIZATIONS)
            .bearer(&ada.token)
            .json(&json!({"name": "one more"}))
    });
    let responses = join_all(calls.map(async |call| call.settle().await)).await;
    let made = responses
        .iter()
        .filter(|response| response.status == 201)
        .count();
    assert_eq!(made, 3, "100 may be owned, and 97 were");
    for response in responses {
        if response.status != 201 {
            response.expect_problem(409, "organization_limit");
        }
    }
}

async fn refuses(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let eve = host.new_user("eve").await;
    let organization = host.organization_of(&ada).await;
    let one = format!("{ORGANIZATIONS}/{organization}");
    let member = host.member_of(organization, "member").await;
    let valid = json!({"name": "Engines"});
    for name in [
        json!(""),
        json!("  "),
        json!("n".repeat(201)),
        json!("a\r\nb"),
        json!(null),
        json!(1),
    ] {
        let body = json!({"name": name});
        for call in [host.post(ORGANIZATIONS), host.patch(&one)] {
            let call = call.bearer(&ada.token).json(&body);
            refuse(host, call, 422, "invalid_fields", &["name"]).await;
        }
    }
    let patch = |token: &str| host.patch(&one).bearer(token).json(&valid);
    refuse(host, patch(&member.token), 403, "forbidden", &[]).await;
    // Another tenant's organization is no more there than one that never was.
    refuse(host, patch(&eve.token), 404, "not_found", &[]).await;
    refuse(
        host,
        host.get(&one).bearer(&eve.token),
        404,
        "not_found",
        &[],
    )
    .await;
    for id in ["org_1", "org_0193e7a1b2c37d4e8f90a1b2c3d4e5f6", "%00"] {
        let call = host.get(format!("{ORGANIZATIONS}/{id}")).bearer(&ada.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let me = host.get(ME).bearer(&ada.token).send().await.expect(200);
    assert_eq!(me.text_at("/organization_name"), ada.email, "{me}");
}
