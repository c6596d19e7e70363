use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::{join, join_all};

use turnpike_host::{Fault, KeyValueOptions};
use turnpike_tests::host::block_on;
use turnpike_tests::personas::{BALANCE, ME, USAGE_SUMMARY, sql_id};
use turnpike_tests::redis_server::RedisServer;
use turnpike_tests::{Call, Race, Settings, TestHost, User, api_tests};

use crate::refusals::refuse;

api_tests![
    a_namespace_is_taken_away,
    a_pattern_is_taken_away,
    an_owner_is_taken_away,
    a_scope_that_is_being_written_stays_marked,
    is_in_the_platforms_audit_log,
    refuses,
];

api_tests![
    fresh_too:
    nothing_from_before_is_served_however_many_read,
];

#[test]
fn nothing_from_before_is_served_from_redis() {
    block_on(async {
        let Some(redis) = RedisServer::start_for_test().await else {
            return;
        };
        let url = redis.url();
        let settings = Settings::pooled().with_key_value(KeyValueOptions::Redis { url });
        let host = TestHost::start(settings).await;
        nothing_from_before_is_served_however_many_read(&host).await;
        host.finish().await;
    });
}

fn removal(host: &TestHost, admin: &User, rest: &str) -> Call {
    host.delete(format!("/api/v1/cache/{rest}"))
        .bearer(&admin.token)
}

/// How many entries were taken away, of all that there were to take.
async fn remove(host: &TestHost, admin: &User, rest: &str) -> u64 {
    let removed = removal(host, admin, rest).send().await.expect(200).json();
    assert_eq!(removed["is_complete"], true, "{removed}");
    removed["entries"].as_u64().unwrap_or_default()
}

/// How many keys the store has that begin with one of these.
async fn keys(host: &TestHost, prefixes: &[&str]) -> u64 {
    let keys = host.key_value().keys().await.expect("the store answers");
    let is_one = |key: &&String| prefixes.iter().any(|prefix| key.starts_with(prefix));
    keys.iter().filter(is_one).count() as u64
}

/// A pattern in a query.
fn encoded(pattern: &str) -> String {
    pattern
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace(':', "%3A")
}

async fn a_namespace_is_taken_away(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let (balance, me) = (host.balance_call(&user), host.get(ME).bearer(&user.token));
    host.warm(&balance).await;
    host.warm(&me).await;
    let balances = ["tp1:generation:credits:", "tp1:credit_balance:"];
    let count = keys(host, &balances).await;
    assert!(count >= 2, "a state and a balance");
    assert_eq!(remove(host, &admin, "credit_balance").await, count);
    assert_eq!(keys(host, &balances).await, 0);
    let read = host.ask_cache(&balance).await;
    assert_eq!((read.cache(), read.db_queries()), ("miss", 1), "{read}");
    assert_eq!(read.text_at("/available/amount"), "5.00");
    let read = host.ask_cache(&me).await;
    assert_eq!(
        read.cache(),
        "hit",
        "another namespace is left alone\n{read}"
    );
    host.warm(&balance).await;
    assert_eq!(remove(host, &admin, "credit_balance").await, 2);
    assert_eq!(remove(host, &admin, "credit_balance").await, 0);
}

async fn a_pattern_is_taken_away(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let summary = host.get(USAGE_SUMMARY).bearer(&user.token);
    host.warm(&summary).await;
    let of_organizations = encoded("usage_summary:{organization}:{query}");
    let path = format!("usage_summary?pattern={of_organizations}");
    let count = keys(host, &["tp1:generation:usage:"]).await;
    assert_eq!(remove(host, &admin, &path).await, count);
    let read = host.ask_cache(&summary).await;
    assert_eq!(read.cache(), "hit", "{read}");
    let of_tokens = encoded("usage_summary:{token}:{query}");
    let path = format!("usage_summary?pattern={of_tokens}");
    let count = keys(host, &["tp1:generation:credits:", "tp1:usage_summary:"]).await;
    assert!(count >= 2, "a state and a summary");
    assert_eq!(remove(host, &admin, &path).await, count);
    let read = host.ask_cache(&summary).await;
    assert_eq!(read.cache(), "miss", "{read}");
}

async fn an_owner_is_taken_away(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let other = host.new_user("bob").await;
    let calls = |user: &User| [BALANCE, ME].map(|path| host.get(path).bearer(&user.token));
    for call in calls(&user).iter().chain(&calls(&other)) {
        host.warm(call).await;
    }
    // The states of the sign-in and of the credits.
    assert_eq!(
        remove(host, &admin, &format!("owners/{}", user.id)).await,
        2
    );
    for call in calls(&user) {
        let read = host.ask_cache(&call).await;
        assert_eq!(read.cache(), "miss", "{read}");
    }
    for call in calls(&other) {
        let read = host.ask_cache(&call).await;
        assert_eq!(read.cache(), "hit", "{read}");
    }
    let (owner, organization, _) = host.organization_with("3.00").await;
    let pool = host.pool_call(&owner, organization);
    host.warm(&pool).await;
    assert_eq!(
        remove(host, &admin, &format!("owners/{organization}")).await,
        1
    );
    let read = host.ask_cache(&pool).await;
    assert_eq!(read.cache(), "miss", "{read}");
}

/// The mark of a write keeps what it is for.
async fn a_scope_that_is_being_written_stays_marked(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    host.warm(&host.balance_call(&user)).await;
    let other = turnpike_tests::database::connect_without_timeouts(host.database_url()).await;
    let other = other.expect("the database can be reached");
    let take = format!(
        "BEGIN; SELECT 1 FROM credit_accounts WHERE user_id = {} FOR UPDATE",
        sql_id(user.id)
    );
    other.batch_execute(&take).await.expect("the row is free");
    let call = host.consume_call(&user, "1");
    let spend = tokio::spawn(async move { call.settle().await });
    host.until_blocked().await;
    let key = format!("tp1:generation:credits:{}", user.id);
    let state = async || host.key_value().get(&key).await.expect("the store answers");
    let mark = state().await;
    assert_eq!(mark.as_ref().map(|mark| mark[0]), Some(b'W'));
    let count = keys(host, &["tp1:generation:credits:", "tp1:credit_balance:"]).await;
    let removed = remove(host, &admin, "credit_balance").await;
    assert_eq!(removed, count - 1, "all but the mark");
    assert_eq!(
        remove(host, &admin, &format!("owners/{}", user.id)).await,
        0,
        "nothing but the mark"
    );
    assert_eq!(state().await, mark);
    other
        .batch_execute("COMMIT")
        .await
        .expect("the row is let go");
    spend.await.expect("the request does not panic").expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "4.00");
}

async fn is_in_the_platforms_audit_log(host: &TestHost) {
    let (user, admin) = host.user_with("5.00").await;
    let pattern = "usage_summary:{token}:{query}";
    remove(host, &admin, "user").await;
    remove(host, &admin, &format!("owners/{}", user.id)).await;
    remove(
        host,
        &admin,
        &format!("usage_summary?pattern={}", encoded(pattern)),
    )
    .await;
    let rows = host
        .query(&format!(
            "SELECT subject FROM audit_events
              WHERE event_type = 'cache.removed' AND organization_id = no_organization() AND actor_id = {}
              ORDER BY sequence",
            sql_id(admin.id)
        ))
        .await;
    let subjects: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        subjects,
        ["user".to_owned(), user.id.to_string(), pattern.to_owned()]
    );
}

/// A change by hand invalidates nothing. Once what was cached is taken away, nobody sees what was
/// before it, though many read and store all the time.
async fn nothing_from_before_is_served_however_many_read(host: &TestHost) {
    const READERS: usize = 6;
    let user = host.new_user("ada").await;
    let admin = host.platform_admin().await;
    let me = host.get(ME).bearer(&user.token);
    let race = Race::begin(Duration::from_millis(1_500), 10, 10);
    let (removed, changed) = (AtomicU32::new(0), AtomicU32::new(0));
    let number_of = |email: &str| -> u32 {
        let number = email
            .split(['+', '@'])
            .nth(1)
            .and_then(|number| number.parse().ok());
        number.unwrap_or_default()
    };
    let remove_repeatedly = async {
        while race.goes_on() {
            let number = changed.fetch_add(1, Ordering::SeqCst) + 1;
            host.execute(&format!(
                "UPDATE users SET email = 'ada+{number}@example.com' WHERE id = {}",
                sql_id(user.id)
            ))
            .await;
            if number.is_multiple_of(2) {
                remove(host, &admin, "user").await;
            } else {
                remove(host, &admin, &format!("owners/{}", user.id)).await;
            }
            removed.store(number, Ordering::SeqCst);
            race.note_write();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let read = async || {
        while race.goes_on() {
            let least = removed.load(Ordering::SeqCst);
            let response = me.settle().await.expect(200);
            let shown = number_of(&response.text_at("/email"));
            if shown < least || shown > changed.load(Ordering::SeqCst) {
                response.fail(&format!(
                    "it shows change {shown}, and everything before {least} was taken away"
                ));
            }
            race.note_read(response.cache() == "hit");
        }
    };
    join(remove_repeatedly, join_all((0..READERS).map(|_| read()))).await;
    race.assert_raced("removals of what is cached");
}

async fn refuses(host: &TestHost) {
    let admin = host.platform_admin().await;
    let owner = host.new_user("owner").await;
    for rest in ["nothing", "User", "stats", "owners/usr_1", "owners/nobody"] {
        let call = removal(host, &admin, rest);
        let status = if rest == "stats" { 405 } else { 404 };
        let code = if rest == "stats" {
            "method_not_allowed"
        } else {
            "not_found"
        };
        refuse(host, call, status, code, &[]).await;
    }
    let of_another = format!("user?pattern={}", encoded("usage_summary:{token}:{query}"));
    for (rest, field) in [
        (of_another.as_str(), "pattern"),
        ("user?pattern=", "pattern"),
        ("user?pattern=a&pattern=b", "pattern"),
    ] {
        let call = removal(host, &admin, rest);
        refuse(host, call, 400, "invalid_parameter", &[field]).await;
    }
    let call = removal(host, &owner, "user");
    refuse(host, call, 403, "forbidden", &[]).await;
    for fault in [Fault::Error, Fault::Hang] {
        host.key_value().set_fault(fault);
        for rest in ["user".to_owned(), format!("owners/{}", owner.id)] {
            let answer = removal(host, &admin, &rest).send_once().await;
            answer.expect_problem(503, "dependency_unavailable");
        }
        host.key_value().set_fault(Fault::None);
    }
}
