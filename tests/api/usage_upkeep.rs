use futures::future::join_all;
use serde_json::json;
use shared::store::cache_entry::{self, Entry, Generation, ScopeState};
use turnpike_host::Fault;
use turnpike_tests::personas::sql_id;
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
              WHERE i.inhparent = 'usage_event_batches'::regclass AND c.relname ~ '[0-9]$' ORDER BY 1",
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
    an_account_that_fails_stops_no_other,
    takes_dead_entries_out_of_the_cache,
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
                    events FROM usage_event_batches LIMIT 1"
        ))
        .await;
    }
    let run = host.post(UPKEEP).bearer(&admin.token);
    let done = run.send().await.expect(200).json();
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(done["created"].as_array().map(Vec::len), Some(2), "{done}");
    assert_eq!(done["dropped"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(months(host).await, [-13, -2, -1, 0, 1, 2, 3, 4]);
    let mut again = run.send().await.expect(200).json();
    // A busy machine's store may be too slow for once.
    again["is_cache_swept"] = json!(null);
    assert_eq!(
        again,
        json!({"status": "done", "created": [], "dropped": [], "missing": [], "settled_accounts": 0,
               "failed_accounts": 0, "settled_entitlements": 0, "failed_entitlements": 0,
               "swept_cache_entries": 0, "is_cache_swept": null})
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
    host.execute("DELETE FROM usage_event_batches").await;
    let done = run.send().await.expect(200).json();
    assert_eq!(done["created"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(months(host).await, [-2, -1, 0, 1, 2, 3, 4]);
}

async fn an_account_that_fails_stops_no_other(host: &TestHost) {
    let admin = host.platform_admin().await;
    let mut users = Vec::new();
    for _ in 0..3 {
        let user = host.new_user("ada").await;
        let terms = json!({"expires_at": host.time_in("1 day").await});
        host.grant_with(&admin, &user, "1", terms).await;
        users.push(user);
    }
    host.let_grants_end().await;
    // The one that has waited longest, so that every call comes to it first.
    host.execute(&format!(
        "UPDATE credit_accounts SET next_due_at = next_due_at - interval '1 second' WHERE user_id = {id};
         CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
         DO $$ BEGIN
             EXECUTE format('CREATE TRIGGER fails BEFORE INSERT ON ledger_transfers FOR EACH ROW
                             WHEN (NEW.account_id = %L) EXECUTE FUNCTION fails()',
                            (SELECT id FROM credit_accounts WHERE user_id = {id}));
         END $$",
        id = sql_id(users[0].id)
    ))
    .await;
    let run = host.post(UPKEEP).bearer(&admin.token);
    let upkeep = async || {
        let done = run.settle().await.expect(200).json();
        (
            done["settled_accounts"].clone(),
            done["failed_accounts"].clone(),
        )
    };
    assert_eq!(upkeep().await, (json!(2), json!(1)));
    assert_eq!(upkeep().await, (json!(0), json!(1)));
    host.execute("DROP TRIGGER fails ON ledger_transfers").await;
    assert_eq!(upkeep().await, (json!(1), json!(0)));
    for user in &users {
        assert_eq!(host.count_transfers(user, "expire").await, 1);
    }
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

async fn takes_dead_entries_out_of_the_cache(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let balance = host.balance_call(&user);
    host.warm(&balance).await;
    let store = host.key_value();
    let kept = store.keys().await.expect("the store answers");
    let digest = "a".repeat(43);
    let value = |expires_at_millis| Entry {
        expires_at_millis,
        generation: Generation([1; 16]),
        payload: b"{}".to_vec(),
    };
    let mark = ScopeState::Writing { until_millis: 1 };
    let moment = "tp1:api_key_use:0";
    let entries = [
        (
            format!("tp1:user:{digest}"),
            value(1).encode(&format!("tp1:user:{digest}")),
        ),
        // It was written under another key.
        (
            "tp1:token:b".to_owned(),
            value(u64::MAX).encode("tp1:token:a"),
        ),
        ("tp1:noise".to_owned(), b"noise".to_vec()),
        (
            "tp1:generation:pool:x".to_owned(),
            mark.encode("tp1:generation:pool:x"),
        ),
        // What lives, and what is none of ours.
        (
            "tp1:token:c".to_owned(),
            value(u64::MAX).encode("tp1:token:c"),
        ),
        (moment.to_owned(), cache_entry::encode_moment(moment, 1)),
        ("other:noise".to_owned(), b"noise".to_vec()),
    ];
    for (key, entry) in &entries {
        store.set(key, entry).await.expect("the store answers");
    }
    let run = host.post(UPKEEP).bearer(&admin.token);
    let mut calls = 0;
    loop {
        calls += 1;
        let done = run.settle().await.expect(200).json();
        // A busy machine's store may be too slow for once.
        if done["is_cache_swept"] == true {
            let expected = if calls == 1 { 4 } else { 0 };
            let swept = done["swept_cache_entries"].as_u64().unwrap_or_default();
            assert!((expected..=4).contains(&swept), "{done}");
            break;
        }
        assert!(calls < 100, "{done}");
    }
    let mut left = store.keys().await.expect("the store answers");
    let mut expected: Vec<String> = entries[4..].iter().map(|(key, _)| key.clone()).collect();
    expected.extend(kept);
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(host.ask_cache(&balance).await.cache(), "hit");
    // Without a store there is nothing to do.
    store.set_fault(Fault::Error);
    let done = run.settle().await.expect(200).json();
    let swept = [&done["swept_cache_entries"], &done["is_cache_swept"]];
    assert_eq!(swept, [&json!(0), &json!(false)], "{done}");
}
