use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_host::Fault;
use turnpike_tests::personas::ME;
use turnpike_tests::{Call, Response, TestHost, api_tests};

use crate::metering::UPKEEP;
use crate::refusals::refuse;

const STATS: &str = "/api/v1/cache/stats";
const HEALTH: &str = "/api/v1/cache/health";

/// How long instances may take to hand over what they have counted. They do it within seconds,
/// and on a busy machine later.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pattern of a balance's keys.
const BALANCES: &str = "credit_balance:{token}:{currency}";

api_tests![
    says_whether_it_answers,
    counts_of_long_ago_keep_their_sum,
    nobody_waits_to_count,
    refuses,
];

api_tests![
    fresh_too:
    counts_every_look_up_of_instances_side_by_side,
    says_how_often_it_was_hit_of_late,
];

/// What was counted of a pattern, by name.
async fn counted(host: &TestHost, pattern: &str) -> BTreeMap<String, i64> {
    let rows = host
        .query(&format!(
            "SELECT name, sum(count)::bigint FROM operation_counts WHERE label = '{pattern}' GROUP BY name"
        ))
        .await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Waits until as many look-ups of a pattern were handed over, and says what was counted.
async fn counted_when(host: &TestHost, pattern: &str, look_ups: usize) -> BTreeMap<String, i64> {
    let began = Instant::now();
    loop {
        let counted = counted(host, pattern).await;
        let of = |name: &str| counted.get(name).copied().unwrap_or_default();
        let sum = of("cache_hits") + of("cache_misses") + of("cache_bypasses");
        if usize::try_from(sum) == Ok(look_ups) {
            return counted;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "of {look_ups} look-ups of {pattern} these were counted: {counted:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many answers there were of each kind.
fn kinds(responses: &[Response]) -> BTreeMap<String, i64> {
    let mut kinds = BTreeMap::new();
    for response in responses {
        let name = match response.cache() {
            "hit" => "cache_hits",
            "miss" => "cache_misses",
            _ => "cache_bypasses",
        };
        *kinds.entry(name.to_owned()).or_default() += 1;
    }
    kinds
}

async fn counts_every_look_up_of_instances_side_by_side(host: &TestHost) {
    const READERS: usize = 24;
    const READS: usize = 12;
    let admin = host.platform_admin().await;
    let mut users = Vec::new();
    for _ in 0..3 {
        users.push(host.new_user("ada").await);
    }
    let reader = async |number: usize| {
        let call = host.balance_call(&users[number % users.len()]);
        let mut responses = Vec::new();
        for _ in 0..READS {
            responses.push(call.send_once().await);
        }
        responses
    };
    let responses = join_all((0..READERS).map(reader)).await.concat();
    let mut counted = counted_when(host, BALANCES, READERS * READS).await;
    // Parts of the others.
    counted.retain(|name, _| !matches!(&**name, "cache_hits_late" | "cache_misses_expired"));
    let errors = counted.remove("cache_errors").unwrap_or_default();
    // A busy machine's store that is too slow to take a value makes a bypass of a miss.
    if errors == 0 {
        assert_eq!(counted, kinds(&responses), "each look-up once");
    }

    let stats = host.get(STATS).bearer(&admin.token);
    let stats = stats.send().await.expect(200).json();
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    for (index, period) in ["last_hour", "last_day", "since_start"].iter().enumerate() {
        let shown = &stats["periods"][index];
        assert_eq!(shown["period"], *period);
        let namespaces = shown["namespaces"].as_array().cloned().unwrap_or_default();
        let balances = namespaces
            .iter()
            .find(|shown| shown["namespace"] == "credit_balance");
        let balances = balances.expect("balances were looked up");
        for (name, member) in [
            ("cache_hits", "hits"),
            ("cache_misses", "misses"),
            ("cache_bypasses", "bypasses"),
        ] {
            let count = counted.get(name).copied().unwrap_or_default();
            assert_eq!(number(&balances[member]), count, "{period}: {balances}");
            assert_eq!(
                number(&balances["patterns"][0][member]),
                count,
                "{balances}"
            );
            assert!(number(&shown["total"][member]) >= count, "{shown}");
        }
        assert_eq!(balances["patterns"][0]["pattern"], BALANCES);
    }
    let lifetimes = stats["lifetimes"].as_array().cloned().unwrap_or_default();
    let balances = lifetimes
        .iter()
        .find(|shown| shown["namespace"] == "credit_balance");
    let balances = balances.expect("every namespace has a lifetime");
    assert_eq!(balances["ttl_secs"], 60, "{balances}");
    assert_eq!(balances["advice"], "too_few_look_ups", "{balances}");
}

fn hit_rate(response: &Response) -> &str {
    response.header("x-cache-hit-rate").unwrap_or_default()
}

async fn says_how_often_it_was_hit_of_late(host: &TestHost) {
    let user = host.new_user("ada").await;
    let health = host.get("/api/v1/health").send().await;
    assert_eq!(hit_rate(&health), "-", "it looks nothing up");
    let call = host.get(ME).bearer(&user.token);
    let first = host.ask_cache(&call).await;
    assert_eq!(
        (first.cache(), hit_rate(&first)),
        ("miss", "0.0"),
        "{first}"
    );
    let again = host.warm(&call).await;
    assert!(!["-", "0.0"].contains(&hit_rate(&again)), "{again}");
}

async fn says_whether_it_answers(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.new_user("ada").await;
    host.warm(&host.balance_call(&user)).await;
    let plain = host.get(HEALTH).bearer(&admin.token);
    let call: Call = host.get(format!("{HEALTH}?keys=true")).bearer(&admin.token);
    let began = Instant::now();
    let mut health = call.send().await.expect(200).json();
    // A busy machine's store may be too slow for once.
    while health["status"] != "available" && began.elapsed() < PATIENCE {
        health = call.send().await.expect(200).json();
    }
    assert_eq!(health["status"], "available", "{health}");
    assert!(health["latency_micros"].is_u64(), "{health}");
    let keys = host.key_value().keys().await.expect("the store answers");
    assert_eq!(
        health["keys"],
        keys.len(),
        "the probe left nothing: {keys:?}"
    );
    let health = plain.send().await.expect(200).json();
    assert_eq!(health["keys"], Value::Null, "nobody asked: {health}");
    for fault in [Fault::Error, Fault::Hang] {
        host.key_value().set_fault(fault);
        let health = call.send().await.expect(200).json();
        let away = json!({"status": "unavailable", "latency_micros": null, "keys": null});
        assert_eq!(health, away, "{fault:?}");
        host.key_value().set_fault(Fault::None);
    }
}

async fn counts_of_long_ago_keep_their_sum(host: &TestHost) {
    let admin = host.platform_admin().await;
    host.execute(
        "INSERT INTO operation_counts (name, component, label, hour, count)
         SELECT 'things', 'test', label, date_trunc('hour', now()) - n * interval '240 hours', 10
           FROM generate_series(0, 9) n, unnest(ARRAY['a', 'b']) label
          WHERE label = 'a' OR n > 5",
    )
    .await;
    let rows = async || {
        let rows = host
            .query(
                "SELECT label, count(*), sum(count)::bigint, coalesce(sum(count) FILTER (WHERE hour = '-infinity'), 0)::bigint
                   FROM operation_counts WHERE name = 'things' GROUP BY label ORDER BY label",
            )
            .await;
        let row = |row: &tokio_postgres::Row| {
            let label: String = row.get(0);
            let [count, sum, folded] = [1, 2, 3].map(|column| row.get::<_, i64>(column));
            (label, count, sum, folded)
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    let expected = [("a".to_owned(), 5, 100, 60), ("b".to_owned(), 1, 40, 40)];
    for _ in 0..2 {
        host.post(UPKEEP)
            .bearer(&admin.token)
            .settle()
            .await
            .expect(200);
        assert_eq!(
            rows().await,
            expected,
            "the last 840 hours stay as they are"
        );
    }
    host.execute(
        "INSERT INTO operation_counts (name, component, label, hour, count)
         VALUES ('things', 'test', 'b', now() - interval '900 hours', 1)",
    )
    .await;
    host.post(UPKEEP)
        .bearer(&admin.token)
        .settle()
        .await
        .expect(200);
    assert_eq!(rows().await[1], ("b".to_owned(), 1, 41, 41));
}

/// Where it may only read, and while another instance is at it, the statement says so at once.
async fn nobody_waits_to_count(host: &TestHost) {
    let add = "SELECT operation_counts_add('test', '{things,things}', '{a,b}', '{1,2}')";
    let added = async |before: &str| -> bool {
        host.execute(before).await;
        let rows = host.query(add).await;
        host.execute("COMMIT").await;
        rows[0].get(0)
    };
    assert!(added("BEGIN").await);
    assert!(!added("BEGIN READ ONLY").await);
    let other = turnpike_tests::database::connect_without_timeouts(host.database_url()).await;
    let other = other.expect("the database can be reached");
    let batch = format!("BEGIN; {add}");
    other
        .batch_execute(&batch)
        .await
        .expect("nobody else counts");
    assert!(!added("BEGIN").await, "another is at it");
    other.batch_execute("COMMIT").await.expect("it ends");
    assert!(added("BEGIN").await);
    let rows = host
        .query("SELECT label, count FROM operation_counts WHERE name = 'things' ORDER BY label")
        .await;
    let rows: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [("a".to_owned(), 3), ("b".to_owned(), 6)]);
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("owner").await;
    for path in [STATS, HEALTH] {
        let call = host.get(path).bearer(&owner.token);
        refuse(host, call, 403, "forbidden", &[]).await;
    }
}
