//! Whatever is read is read without writing: every GET is answered by a host whose connections to
//! Postgres may only read, and as by any other host.

use serde_json::{Value, json};
use turnpike_tests::host::run;
use turnpike_tests::personas::{DEV_OUTBOX, fresh_key};
use turnpike_tests::{Call, Settings, TestHost, User};

use crate::authorization_matrix::reads;
use crate::dated_ledger::{count_due, settle};

/// The address of the same database, on which transactions only read.
fn read_only(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20default_transaction_read_only%3Don")
}

/// Grants that begin, that expire with and without holds, that were voided, and holds that lapse,
/// of a person and of the pool; none of it is posted.
async fn let_things_fall_due(host: &TestHost, owner: &User, admin: &User) {
    let organization = host.organization_of(owner).await;
    let tomorrow = host.time_in("1 day").await;
    let terms = [
        json!({"priority": 1, "expires_at": tomorrow}),
        json!({"priority": 2, "expires_at": tomorrow}),
        json!({"effective_at": tomorrow}),
        json!({"priority": 3}),
    ];
    let mut grants = Vec::new();
    for terms in terms {
        grants.push(host.grant_with(admin, owner, "3", terms.clone()).await);
        host.pool_grant(admin, organization, "3", terms).await;
    }
    for amount in ["1", "4", "2"] {
        host.hold(owner, amount, 900).await;
    }
    host.void_call(admin, &grants[3], &fresh_key())
        .settle()
        .await
        .expect(200);
    host.execute(
        "UPDATE credit_grants SET effective_at = clock_timestamp() WHERE state = 'pending';
         UPDATE credit_grants SET expires_at = clock_timestamp() WHERE expires_at < 'infinity';
         UPDATE credit_holds SET expires_at = clock_timestamp() WHERE amount <> 1;
         UPDATE credit_accounts SET next_due_at = clock_timestamp()",
    )
    .await;
}

/// What adds up days. Without dates it would begin and end with other days after midnight.
const DATED: [&str; 3] = [
    "/api/v1/credits/usage/summary",
    "/api/v1/org-billing/analytics/platform",
    "/api/v1/org-billing/analytics/revenue-trends",
];

/// Dates around today, as a query has them.
async fn dates(host: &TestHost) -> String {
    let date = async |days: i32| {
        let time = host.time_in(&format!("{days} days")).await;
        time[..10].to_owned()
    };
    format!("since={}&until={}", date(-9).await, date(9).await)
}

/// What components have counted, which grows with each answer.
const METRICS: &str = "/metrics";

/// How often a request is sent that is told to try again, because the machine is busy: a host
/// that only reads would say so for ever of what needs to write.
const ATTEMPTS: usize = 10;

/// What a host answers, without the moment at which it did, and without what it has counted and
/// measured itself.
async fn answer(call: &Call, of: &TestHost) -> (u16, Value) {
    let call = call.clone().sent_to(of);
    let mut response = call.send_once().await;
    for _ in 1..ATTEMPTS {
        if response.status < 500 {
            break;
        }
        response = call.send_once().await;
    }
    let text = String::from_utf8_lossy(&response.body).into_owned();
    let mut body = match call.path().as_str() {
        METRICS => Value::Null,
        _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    };
    for member in [
        "as_of",
        "request_id",
        "periods",
        "lifetimes",
        "latency_micros",
        "keys",
    ] {
        if let Some(value) = body.get_mut(member) {
            *value = Value::Null;
        }
    }
    (response.status, body)
}

/// How many entitlements have kept what was used of them long ago.
async fn count_settled(host: &TestHost) -> i64 {
    let rows = host
        .query("SELECT count(*) FROM entitlements WHERE settled_used > 0")
        .await;
    rows[0].get(0)
}

/// How a developer runs it, so that the reads for developers are there too.
fn settings() -> Settings {
    Settings::pooled()
        .with_variable("development", "true")
        .with_variable("public_url", "http://localhost:3000/")
}

#[test]
fn every_read_is_answered_by_a_host_that_only_reads() {
    run(settings(), async |host| {
        let (owner, admin) = host.user_with("5.00").await;
        let mut calls = reads(host, &owner, &admin).await;
        let dates = dates(host).await;
        let mut dated = 0;
        for (name, call) in &mut calls {
            if let Some(path) = DATED.iter().find(|path| name.ends_with(**path)) {
                let holder = if path.contains("/analytics/") {
                    &admin
                } else {
                    &owner
                };
                *call = host.get(format!("{path}?{dates}")).bearer(&holder.token);
                dated += 1;
            }
        }
        assert_eq!(dated, DATED.len());
        calls.push((format!("GET {DEV_OUTBOX}"), host.get(DEV_OUTBOX)));
        assert!(calls.len() > 30, "there are more GETs than {}", calls.len());
        let_things_fall_due(host, &owner, &admin).await;
        let due = count_due(host).await;
        assert!(due >= 2, "an account and a pool");
        let before = host.money_state().await;
        let url = read_only(host.database_url());
        let reader = TestHost::start(settings().with_database_url(&url)).await;
        let writes = reader.db().batch_execute("CREATE TABLE written ()").await;
        assert!(writes.is_err(), "the connection can write");
        let mut answers = Vec::new();
        let mut faults = Vec::new();
        for (name, call) in &calls {
            let read = answer(call, &reader).await;
            let usual = answer(call, host).await;
            if read.0 >= 300 || read != usual {
                faults.push(format!(
                    "{name} was answered {read:?}, and usually {usual:?}"
                ));
            }
            if name.ends_with("/entitlements/check") {
                assert_eq!(read.1["used"], "21", "a limit is looked at: {read:?}");
            }
            answers.push(read);
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert_eq!(count_due(host).await, due, "no read has posted anything");
        assert_eq!(host.money_state().await, before);
        assert_eq!(count_settled(host).await, 0, "no read has settled anything");
        reader.remove().await;
        // Posting shows nothing new to a host that has nothing cached.
        assert_eq!(settle(host, &admin).await, due);
        assert_eq!(count_due(host).await, 0);
        assert!(count_settled(host).await > 0, "upkeep has settled");
        let reader = TestHost::start(settings().with_database_url(&url)).await;
        for ((name, call), due) in calls.iter().zip(&answers) {
            assert_eq!(answer(call, &reader).await, *due, "{name}, posted");
        }
        reader.remove().await;
    });
}
