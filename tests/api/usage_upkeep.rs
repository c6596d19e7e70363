use futures::future::join_all;
use serde_json::json;
use turnpike_tests::{TestHost, api_tests};

use crate::metering::{UPKEEP, meter, send, total};
use crate::refusals::refuse;

/// The months that have a partition, as distances from this one.
async fn months(host: &TestHost) -> Vec<i32> {
    let rows = host
        .query(
            "SELECT (extract(year FROM age) * 12 + extract(month FROM age))::integer
               FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
                    age(to_timestamp(right(c.relname, 7), 'YYYY_MM')::timestamp, date_trunc('month', now() AT TIME ZONE 'UTC')) age
              WHERE i.inhparent = 'usage_events'::regclass AND c.relname ~ '[0-9]$' ORDER BY 1",
        )
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

async fn name(host: &TestHost, months: i32) -> String {
    let rows = host
        .query(&format!(
            "SELECT usage_partition_name(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '{months} months')"
        ))
        .await;
    rows[0].get(0)
}

api_tests![
    makes_and_drops_partitions,
    is_done_once_by_calls_at_once,
    leaves_a_month_that_the_default_partition_has,
    refuses
];

async fn makes_and_drops_partitions(host: &TestHost) {
    let admin = host.platform_admin().await;
    meter(host, &admin.token, "calls", "count", json!({})).await;
    assert_eq!(months(host).await, [-2, -1, 0, 1, 2, 3, 4]);
    let event = json!({"id": "old", "type": "call"});
    assert_eq!(send(host, &admin.token, &event).await, [1, 0, 0]);
    // As it will be in fourteen months.
    for (missing, made) in [(4, -14), (3, -13)] {
        let (missing, made) = (name(host, missing).await, name(host, made).await);
        host.execute(&format!("DROP TABLE {missing}")).await;
        host.execute(&format!(
            "SELECT usage_partition_create(to_timestamp(right('{made}', 7), 'YYYY_MM')::timestamp);
             INSERT INTO {made} SELECT organization_id, to_timestamp(right('{made}', 7), 'YYYY_MM'), accepted_at,
                    is_adjustment, type, source, id, subject, properties FROM usage_events LIMIT 1"
        ))
        .await;
    }
    let run = host.post(UPKEEP).bearer(&admin.token);
    let done = run.send().await.expect(200).json();
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(done["created"].as_array().map(Vec::len), Some(2), "{done}");
    assert_eq!(done["dropped"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(months(host).await, [-13, -2, -1, 0, 1, 2, 3, 4]);
    let again = run.send().await.expect(200).json();
    assert_eq!(
        again,
        json!({"status": "done", "created": [], "dropped": [], "missing": [], "settled_accounts": 0,
               "settled_entitlements": 0})
    );
    // Keys and sums outlive the events.
    let this_month = name(host, 0).await;
    host.execute(&format!("TRUNCATE {this_month}")).await;
    assert_eq!(send(host, &admin.token, &event).await, [0, 1, 0]);
    assert_eq!(total(host, &admin.token, "meter=calls").await.1, 1);
}

async fn is_done_once_by_calls_at_once(host: &TestHost) {
    let admin = host.platform_admin().await;
    for ahead in [3, 4] {
        let partition = name(host, ahead).await;
        host.execute(&format!("DROP TABLE {partition}")).await;
    }
    let run = host.post(UPKEEP).bearer(&admin.token);
    let event = json!({"id": "during", "type": "call"});
    let (answers, sent) = futures::join!(
        join_all((0..8).map(|_| run.settle())),
        send(host, &admin.token, &event)
    );
    let mut created = 0;
    for answer in answers {
        let answer = answer.expect(200).json();
        created += answer["created"].as_array().map_or(0, Vec::len);
    }
    assert_eq!(
        (created, sent),
        (2, [1, 0, 0]),
        "each partition is made once"
    );
    assert_eq!(months(host).await, [-2, -1, 0, 1, 2, 3, 4]);
}

async fn leaves_a_month_that_the_default_partition_has(host: &TestHost) {
    let admin = host.platform_admin().await;
    let partition = name(host, 0).await;
    host.execute(&format!("DROP TABLE {partition}")).await;
    send(host, &admin.token, &json!({"id": "a", "type": "call"})).await;
    let run = host.post(UPKEEP).bearer(&admin.token);
    let done = run.send().await.expect(200).json();
    assert_eq!(done["missing"].as_array().map(Vec::len), Some(1), "{done}");
    host.execute("DELETE FROM usage_events").await;
    let done = run.send().await.expect(200).json();
    assert_eq!(done["created"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(months(host).await, [-2, -1, 0, 1, 2, 3, 4]);
}

async fn refuses(host: &TestHost) {
    let owner = host.new_user("owner").await;
    refuse(
        host,
        host.post(UPKEEP).bearer(&owner.token),
        403,
        "forbidden",
        &[],
    )
    .await;
}
