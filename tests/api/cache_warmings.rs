use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_host::{Fault, KeyValueOptions};
use turnpike_tests::host::block_on;
use turnpike_tests::personas::sql_id;
use turnpike_tests::pools::billing_path;
use turnpike_tests::redis_server::RedisServer;
use turnpike_tests::{Call, Settings, TestHost, User, api_tests};

use crate::refusals::refuse;

const WARM: &str = "/api/v1/cache/warm";

api_tests![
    what_a_mode_wants_is_warmed,
    goes_on_where_it_stopped,
    predicts_by_what_was_read_weeks_ago,
    refuses,
];

api_tests![
    fresh_too:
    what_was_warmed_is_found,
];

#[test]
fn what_was_warmed_is_found_in_redis() {
    block_on(async {
        let Some(redis) = RedisServer::start_for_test().await else {
            return;
        };
        let url = redis.url();
        let settings = Settings::pooled().with_key_value(KeyValueOptions::Redis { url });
        let host = TestHost::start(settings).await;
        what_was_warmed_is_found(&host).await;
        host.finish().await;
    });
}

/// Whoever reads what an organization has: its subscription, and its pool.
struct Reader {
    owner: User,
    organization: OrganizationId,
    admin: User,
}

impl Reader {
    async fn new(host: &TestHost) -> Self {
        let (owner, organization, admin) = host.organization_with("5.00").await;
        let reader = Self {
            owner,
            organization,
            admin,
        };
        reader.subscribe(host, 1).await;
        reader
    }

    async fn subscribe(&self, host: &TestHost, seats: u32) {
        let terms = json!({
            "plan": "team", "seats": seats, "status": "active", "billing_period": "month",
            "seat_price": {"amount": "12.50", "currency": "USD"},
        });
        let path = billing_path(self.organization, "subscription");
        let call = host.put(path).bearer(&self.admin.token).json(&terms);
        let status = call.settle().await.status;
        assert!(matches!(status, 200 | 201), "{status}");
    }

    fn subscription(&self, host: &TestHost) -> Call {
        let path = billing_path(self.organization, "subscription");
        host.get(path).bearer(&self.owner.token)
    }

    fn pool(&self, host: &TestHost) -> Call {
        host.pool_call(&self.owner, self.organization)
    }

    async fn warm(&self, host: &TestHost, body: &Value) -> Value {
        let call = host.post(WARM).bearer(&self.admin.token).json(body);
        call.settle().await.expect(200).json()
    }
}

/// How reads of the subscription and of the pool are answered.
async fn cached(host: &TestHost, reader: &Reader) -> [String; 2] {
    let mut found = Vec::new();
    for call in [reader.subscription(host), reader.pool(host)] {
        found.push(host.ask_cache(&call).await.cache().to_owned());
    }
    found.try_into().expect("there are two")
}

async fn what_was_warmed_is_found(host: &TestHost) {
    let reader = Reader::new(host).await;
    for call in [reader.subscription(host), reader.pool(host)] {
        host.warm(&call).await;
    }
    // Both are stale by this, and the right to see them is not.
    reader.subscribe(host, 7).await;
    host.pool_grant(&reader.admin, reader.organization, "2.00", json!({}))
        .await;
    let warmed = reader.warm(host, &json!({"mode": "full"})).await;
    assert_eq!(warmed["values"], 2, "{warmed}");
    assert_eq!(warmed["is_complete"], true, "{warmed}");
    let subscription = host.ask_cache(&reader.subscription(host)).await;
    let pool = host.ask_cache(&reader.pool(host)).await;
    for response in [&subscription, &pool] {
        assert_eq!(
            (response.cache(), response.db_queries()),
            ("hit", 0),
            "{response}"
        );
    }
    assert_eq!(subscription.json()["seats"], 7, "{subscription}");
    assert_eq!(pool.text_at("/available/amount"), "7.00", "{pool}");
    // The very bytes that a reader would have stored.
    host.key_value().clear().await.expect("the store answers");
    for (call, warmed) in [
        (reader.subscription(host), subscription),
        (reader.pool(host), pool),
    ] {
        let read = host.ask_cache(&call).await;
        assert_eq!(read.cache(), "miss", "{read}");
        assert_eq!(read.body, warmed.body, "{read}");
    }
}

async fn what_a_mode_wants_is_warmed(host: &TestHost) {
    let reader = Reader::new(host).await;
    let table = [
        ("full", ["hit", "hit"]),
        ("plans", ["hit", "miss"]),
        ("stats", ["miss", "hit"]),
        ("profiles", ["hit", "hit"]),
        // Nobody has read anything in the weeks before.
        ("predicted", ["miss", "miss"]),
    ];
    for (number, (mode, expected)) in table.into_iter().enumerate() {
        for call in [reader.subscription(host), reader.pool(host)] {
            host.warm(&call).await;
        }
        reader
            .subscribe(host, 10 + u32::try_from(number).unwrap_or_default())
            .await;
        host.pool_grant(&reader.admin, reader.organization, "1.00", json!({}))
            .await;
        let warmed = reader.warm(host, &json!({"mode": mode})).await;
        let hits = expected.iter().filter(|found| **found == "hit").count();
        assert_eq!(warmed["values"], hits, "{mode}: {warmed}");
        assert_eq!(cached(host, &reader).await, expected, "{mode}");
    }
    // Nobody was signed in of late.
    host.execute("UPDATE sessions SET last_used_at = now() - interval '3 days'")
        .await;
    for (days, organizations) in [(2, 0), (4, 1)] {
        let body = json!({"mode": "profiles", "days": days});
        let warmed = reader.warm(host, &body).await;
        let at_least = warmed["organizations"].as_u64().unwrap_or_default();
        assert_eq!(at_least > 0, organizations > 0, "{days} days: {warmed}");
    }
    let rows = host
        .query(&format!(
            "SELECT subject FROM audit_events
              WHERE event_type = 'cache.warmed' AND organization_id = no_organization() AND actor_id = {}
              ORDER BY sequence",
            sql_id(reader.admin.id)
        ))
        .await;
    let subjects: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let expected = [
        "full",
        "plans",
        "stats",
        "profiles",
        "predicted",
        "profiles",
        "profiles",
    ];
    assert_eq!(subjects, expected);
}

async fn goes_on_where_it_stopped(host: &TestHost) {
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(Reader::new(host).await);
    }
    let admin = &readers[0];
    let mut after = Value::Null;
    let mut seen = Vec::new();
    loop {
        let body = json!({"mode": "plans", "limit": 1, "after": after});
        let warmed = admin.warm(host, &body).await;
        if warmed["is_complete"] == true {
            assert_eq!(warmed["organizations"], 0, "{warmed}");
            assert_eq!(warmed["last_organization_id"], after, "{warmed}");
            break;
        }
        assert_eq!(warmed["values"], 1, "{warmed}");
        after = warmed["last_organization_id"].clone();
        seen.push(after.as_str().unwrap_or_default().to_owned());
    }
    let mut expected: Vec<String> = readers
        .iter()
        .map(|reader| reader.organization.to_string())
        .collect();
    expected.sort();
    assert_eq!(seen, expected, "each once");
}

async fn predicts_by_what_was_read_weeks_ago(host: &TestHost) {
    let reader = Reader::new(host).await;
    // The hour may end meanwhile.
    let read = |label: &str, weeks: u32| {
        format!(
            "INSERT INTO operation_counts (name, component, label, hour, count)
             SELECT 'cache_hits', 'test', '{label}', date_trunc('hour', now(), 'UTC') - interval '{weeks} weeks' + n * interval '1 hour', 1
               FROM generate_series(0, 1) n"
        )
    };
    let warmed = async || reader.warm(host, &json!({"mode": "predicted"})).await["values"].clone();
    host.execute(&read("subscription:{organization}", 5)).await;
    host.execute(&read("user:{token}", 1)).await;
    assert_eq!(
        warmed().await,
        0,
        "five weeks are too long ago, and tokens are not warmed"
    );
    host.execute(&read("credit_pool:{organization}:{currency}", 4))
        .await;
    assert_eq!(warmed().await, 1);
    host.execute(&read("subscription:{organization}", 1)).await;
    assert_eq!(warmed().await, 2);
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    let call = |caller: &User, body: Value| host.post(WARM).bearer(&caller.token).json(&body);
    let table = [
        (json!({}), "mode"),
        (json!({"mode": "all"}), "mode"),
        (json!({"mode": "full", "limit": 0}), "limit"),
        (json!({"mode": "full", "limit": 1_001}), "limit"),
        (json!({"mode": "full", "days": 0}), "days"),
        (json!({"mode": "full", "days": 366}), "days"),
        (json!({"mode": "full", "after": "usr_1"}), "after"),
        (json!({"mode": "full", "more": 1}), "more"),
    ];
    for (body, field) in table {
        refuse(host, call(&admin, body), 422, "invalid_fields", &[field]).await;
    }
    let full = json!({"mode": "full"});
    refuse(host, call(&owner, full.clone()), 403, "forbidden", &[]).await;
    for fault in [Fault::Error, Fault::Hang] {
        host.key_value().set_fault(fault);
        let answer = call(&admin, full.clone()).send_once().await;
        answer.expect_problem(503, "dependency_unavailable");
        host.key_value().set_fault(Fault::None);
    }
}
