//! The cache is never needed: with it down, hanging or full of garbage, every answer is right,
//! soon, and says that the cache had no part in it.

use std::time::{Duration, Instant};

use rust_decimal::Decimal;
use serde_json::json;
use turnpike_host::Fault;
use turnpike_tests::personas::{BALANCE, LOGOUT, ME, TRANSACTIONS, decimal};
use turnpike_tests::{Call, Quickest, Random, Response, TestHost, User, api_tests};

use crate::metering::{SUMMARY, meter, send_call};

/// No answer may take longer for want of the cache. Each request waits at most twice 50
/// milliseconds for the store; the rest is for Postgres and a busy machine.
const ANSWER_BOUND: Duration = Duration::from_millis(500);

/// How soon after an outage of the store no read may be stale any more, on a busy machine too. A
/// write that the store did not take repeats its invalidation with pauses that double from 100
/// milliseconds, so it comes as long after the outage as that was, at the latest. What it is about
/// is far longer: a balance that was not invalidated is served for a minute.
const RECOVERY_BOUND: Duration = Duration::from_secs(15);

/// When the cache must be used again after an outage: instances leave it alone for a second.
const REUSE_BOUND: Duration = Duration::from_secs(60);

/// Rounds of requests during an outage.
const ROUNDS: u32 = 4;

fn expect_status(response: Response, statuses: &[&str]) -> Response {
    if !statuses.contains(&response.cache()) {
        response.fail(&format!("x-cache must be one of {statuses:?}"));
    }
    response
}

/// An answer that the cache has no part in.
fn expect_bypass(quickest: &mut Quickest, kind: &'static str, response: Response) -> Response {
    quickest.note(kind, &response);
    expect_status(response, &["bypass"])
}

/// Everything a user does, with a store that answers nothing.
async fn use_without_cache(host: &TestHost, fault: Fault) {
    let (user, admin) = host.user_with("10.00").await;
    let mut expected = decimal("10.00");
    for call in [host.get(ME), host.get(BALANCE)] {
        host.warm(&call.bearer(&user.token)).await;
    }
    host.key_value().set_fault(fault);
    let mut quickest = Quickest::within(ANSWER_BOUND);
    let mut round = 0;
    while round < ROUNDS || quickest.asks_for_more() {
        round += 1;
        let me = host.get(ME).bearer(&user.token).send().await.expect(200);
        let me = expect_bypass(&mut quickest, "who one is", me);
        assert_eq!(me.text_at("/email"), user.email, "{me}");
        let spent = host.consume_call(&user, "1.50").settle().await.expect(201);
        let spent = expect_bypass(&mut quickest, "a spend", spent);
        expected -= decimal("1.50");
        assert_eq!(
            decimal(&spent.text_at("/transaction/available_after/amount")),
            expected,
            "{spent}"
        );
        let balance = host.balance_call(&user).send().await.expect(200);
        let balance = expect_bypass(&mut quickest, "a balance", balance);
        assert_eq!(
            decimal(&balance.text_at("/available/amount")),
            expected,
            "round {round}\n{balance}"
        );
        let grant = host.grant_call(&admin, user.id, "1.25", "USD");
        let grant = grant.settle().await.expect(201);
        expect_bypass(&mut quickest, "a grant", grant);
        expected += decimal("1.25");
        let list = host.get(TRANSACTIONS).bearer(&user.token).send().await;
        expect_bypass(&mut quickest, "the ledger", list.expect(200));
        host.get("/api/v1/health").send().await.expect(200);
        let other_token = host.issue_token(&user).await;
        let me = host.get(ME).bearer(&other_token).send().await.expect(200);
        expect_bypass(&mut quickest, "who one is", me);
        let logout = host.post(LOGOUT).bearer(&other_token).settle().await;
        // A 401 answers a repetition whose first attempt had ended the session.
        assert!(matches!(logout.status, 200 | 401), "{logout}");
        expect_bypass(&mut quickest, "a logout", logout);
        let refused = host.get(ME).bearer(&other_token).send().await;
        let refused = refused.expect_problem(401, "unauthenticated");
        expect_bypass(&mut quickest, "a token that ended", refused);
    }
    quickest.assert_met();
    host.key_value().set_fault(Fault::None);
    assert_eq!(settled_balance(host, &user, expected).await, expected);
    // Served from the cache again, once the instances have rested.
    let deadline = Instant::now() + REUSE_BOUND;
    while host.balance_call(&user).send().await.expect(200).cache() != "hit" {
        assert!(
            Instant::now() < deadline,
            "the cache must be used again after the outage"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads for as long as an outage may leave stale entries behind, until the cache shows what is
/// expected, and returns what is read. An answer from Postgres says nothing of what the store still
/// has.
async fn settled_balance(host: &TestHost, user: &User, expected: Decimal) -> Decimal {
    let deadline = Instant::now() + RECOVERY_BOUND;
    loop {
        let balance = host.balance_call(user).send().await.expect(200);
        let shown = decimal(&balance.text_at("/available/amount"));
        if (shown == expected && balance.cache() == "hit") || Instant::now() > deadline {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A write during an outage whose store comes back with what it held before.
async fn recover_from(host: &TestHost, fault: Fault) {
    let (user, admin) = host.user_with("10.00").await;
    host.warm(&host.balance_call(&user)).await;
    host.key_value().set_fault(fault);
    host.consume(&user, "4").await;
    host.grant(&admin, &user, "1", "USD").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    host.key_value().set_fault(Fault::None);
    let expected = decimal("7.00");
    assert_eq!(
        settled_balance(host, &user, expected).await,
        expected,
        "so long after the outage the cache still serves what was there before it"
    );
    for _ in 0..20 {
        assert_eq!(
            host.balance(&user).await,
            expected,
            "once right, it must stay right"
        );
    }
}

/// Reads everything, which must be right whatever the store holds.
async fn read_all(
    host: &TestHost,
    users: &[(User, Decimal)],
    quickest: &mut Quickest,
    statuses: &[&str],
    what: &str,
) {
    for (user, expected) in users {
        let balance = host.balance_call(user).send().await.expect(200);
        let balance = expect_status(balance, statuses);
        quickest.note("a balance", &balance);
        if decimal(&balance.text_at("/available/amount")) != *expected
            || balance.text_at("/user_id") != user.id.to_string()
        {
            balance.fail(&format!(
                "{what} in the store must not become an answer: {expected} is right"
            ));
        }
        let me = host.get(ME).bearer(&user.token).send().await.expect(200);
        let me = expect_status(me, statuses);
        quickest.note("who one is", &me);
        if me.text_at("/email") != user.email {
            me.fail(&format!(
                "{what} in the store must not become an answer: this is {}",
                user.email
            ));
        }
    }
}

/// Sends one event of usage.
fn event_call(host: &TestHost, user: &User, id: u64) -> Call {
    let event = json!({"id": id.to_string(), "type": "call"});
    send_call(host, &user.token, &event)
}

fn summary_call(host: &TestHost, user: &User) -> Call {
    host.get(format!("{SUMMARY}?meter=calls"))
        .bearer(&user.token)
}

fn counted(summary: &Response) -> u64 {
    let events = &summary.json()["groups"][0]["events"];
    events.as_u64().unwrap_or(u64::MAX)
}

/// Events and summaries with a store that answers nothing.
async fn count_without_cache(host: &TestHost, fault: Fault) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    host.warm(&summary_call(host, &user)).await;
    host.key_value().set_fault(fault);
    let mut quickest = Quickest::within(ANSWER_BOUND);
    let mut count = 0;
    while count < u64::from(ROUNDS) || quickest.asks_for_more() {
        count += 1;
        let sent = event_call(host, &user, count).send().await.expect(200);
        expect_bypass(&mut quickest, "an event", sent);
        let summary = summary_call(host, &user).send().await.expect(200);
        let summary = expect_bypass(&mut quickest, "a summary", summary);
        assert_eq!(counted(&summary), count, "{summary}");
    }
    quickest.assert_met();
    host.key_value().set_fault(Fault::None);
    settle_on(host, &user, count).await;
    assert_eq!(counted(&host.warm(&summary_call(host, &user)).await), count);
}

/// Reads for as long as an outage may leave stale entries behind, until the cache shows so many. An
/// answer from Postgres says nothing of what the store still has.
async fn settle_on(host: &TestHost, user: &User, expected: u64) {
    let deadline = Instant::now() + RECOVERY_BOUND;
    loop {
        let summary = summary_call(host, user).send().await.expect(200);
        if counted(&summary) == expected && summary.cache() == "hit" {
            return;
        }
        if Instant::now() > deadline {
            summary.fail("so long after the outage the cache still serves what was before it");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A batch during an outage whose store comes back with what it held before.
async fn count_on_after(host: &TestHost, fault: Fault) {
    let user = host.new_user("ada").await;
    meter(host, &user.token, "calls", "count", json!({})).await;
    event_call(host, &user, 1).send().await.expect(200);
    host.warm(&summary_call(host, &user)).await;
    host.key_value().set_fault(fault);
    event_call(host, &user, 2).send().await.expect(200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    host.key_value().set_fault(Fault::None);
    settle_on(host, &user, 2).await;
    for _ in 0..20 {
        let summary = summary_call(host, &user).send().await.expect(200);
        assert_eq!(counted(&summary), 2, "once right, it must stay right");
    }
}

/// Replaces every entry of the store.
async fn spoil(host: &TestHost, mut replace: impl FnMut(&[(String, Vec<u8>)], usize) -> Vec<u8>) {
    let store = host.key_value();
    let mut entries = Vec::new();
    for key in store.keys().await.expect("the store lists its keys") {
        let value = store.get(&key).await.expect("the store reads");
        entries.push((key, value.unwrap_or_default()));
    }
    entries.sort();
    assert!(
        entries.len() > 3,
        "the store must hold something to spoil: {entries:?}"
    );
    for index in 0..entries.len() {
        let value = replace(&entries, index);
        store
            .set(&entries[index].0, &value)
            .await
            .expect("the store writes");
    }
}

api_tests![
    fresh_too:
    a_store_that_fails_is_done_without,
    a_store_that_hangs_is_done_without,
    a_write_during_a_failure_is_not_forgotten,
    a_write_during_a_hang_is_not_forgotten,
    usage_does_without_a_store_that_fails,
    usage_does_without_a_store_that_hangs,
    a_batch_during_a_failure_is_not_forgotten,
    a_batch_during_a_hang_is_not_forgotten,
    garbage_is_never_answered,
    garbage_is_no_summary,
    an_emptied_store_is_filled_again,
];

async fn a_store_that_fails_is_done_without(host: &TestHost) {
    use_without_cache(host, Fault::Error).await;
}

async fn a_store_that_hangs_is_done_without(host: &TestHost) {
    use_without_cache(host, Fault::Hang).await;
}

async fn a_write_during_a_failure_is_not_forgotten(host: &TestHost) {
    recover_from(host, Fault::Error).await;
}

async fn a_write_during_a_hang_is_not_forgotten(host: &TestHost) {
    recover_from(host, Fault::Hang).await;
}

async fn usage_does_without_a_store_that_fails(host: &TestHost) {
    count_without_cache(host, Fault::Error).await;
}

async fn usage_does_without_a_store_that_hangs(host: &TestHost) {
    count_without_cache(host, Fault::Hang).await;
}

async fn a_batch_during_a_failure_is_not_forgotten(host: &TestHost) {
    count_on_after(host, Fault::Error).await;
}

async fn a_batch_during_a_hang_is_not_forgotten(host: &TestHost) {
    count_on_after(host, Fault::Hang).await;
}

/// Whatever the store holds, one organization's summary is never another's.
async fn garbage_is_no_summary(host: &TestHost) {
    let mut random = Random::seeded("garbage summaries");
    let users = [
        (host.new_user("ada").await, 1),
        (host.new_user("eve").await, 3),
    ];
    for (user, events) in &users {
        meter(host, &user.token, "calls", "count", json!({})).await;
        for id in 0..*events {
            event_call(host, user, id).send().await.expect(200);
        }
    }
    let mut quickest = Quickest::within(ANSWER_BOUND);
    for round in 0..10 {
        for (user, _) in &users {
            host.warm(&summary_call(host, user)).await;
        }
        spoil(host, |entries, index| match round {
            0 => Vec::new(),
            1 => random.bytes(1_000),
            2 => entries[index].1[..entries[index].1.len() / 2].to_vec(),
            3 => entries[0].1.clone(),
            shift => entries[(index + shift) % entries.len()].1.clone(),
        })
        .await;
        for _ in 0..2 {
            for (user, events) in &users {
                let summary = summary_call(host, user).send().await.expect(200);
                let summary = expect_status(summary, &["hit", "miss", "bypass"]);
                quickest.note("a summary", &summary);
                assert_eq!(counted(&summary), *events, "round {round}\n{summary}");
            }
        }
    }
    quickest.assert_met();
}

async fn garbage_is_never_answered(host: &TestHost) {
    let mut random = Random::seeded("garbage");
    let (ada, admin) = host.user_with("10.00").await;
    let eve = host.new_user("eve").await;
    host.grant(&admin, &eve, "3", "USD").await;
    let users = [(ada, decimal("10.00")), (eve, decimal("3.00"))];
    let refill = async || {
        for (user, _) in &users {
            host.warm(&host.balance_call(user)).await;
            host.warm(&host.get(ME).bearer(&user.token)).await;
        }
    };
    let quickest = &mut Quickest::within(ANSWER_BOUND);
    let unusable = ["miss", "bypass"];
    let any = ["hit", "miss", "bypass"];

    for length in [0, 1, 29, 1_000] {
        refill().await;
        spoil(host, |_, _| random.bytes(length)).await;
        read_all(host, &users, quickest, &unusable, "random bytes").await;
        read_all(host, &users, quickest, &any, "random bytes").await;
    }
    refill().await;
    spoil(host, |entries, index| {
        let value = &entries[index].1;
        let keep = usize::try_from(random.below(value.len() as u64)).unwrap_or(0);
        value[..keep].to_vec()
    })
    .await;
    read_all(host, &users, quickest, &unusable, "a cut entry").await;

    refill().await;
    spoil(host, |entries, index| {
        let mut value = entries[index].1.clone();
        let at = usize::try_from(random.below(value.len() as u64)).unwrap_or(0);
        value[at] ^= 1 << random.below(8);
        value
    })
    .await;
    read_all(
        host,
        &users,
        quickest,
        &unusable,
        "an entry with a changed bit",
    )
    .await;

    // One donor for all, then every rotation: among these, each of two users gets exactly
    // what the other had, generations included.
    for shift in 0..8 {
        refill().await;
        spoil(host, |entries, index| match shift {
            0 => entries[0].1.clone(),
            _ => entries[(index + shift) % entries.len()].1.clone(),
        })
        .await;
        read_all(host, &users, quickest, &any, "another entry").await;
    }
    refill().await;
    let partner = |key: &str| {
        let ids = [users[0].0.id.to_string(), users[1].0.id.to_string()];
        let digests =
            [&users[0].0, &users[1].0].map(|user| shared::token::digest(&user.token).to_base64());
        let pairs = [
            (&ids[0], &ids[1]),
            (&ids[1], &ids[0]),
            (&digests[0], &digests[1]),
            (&digests[1], &digests[0]),
        ];
        let pair = pairs
            .into_iter()
            .find(|(own, _)| key.contains(own.as_str()));
        pair.map(|(own, other)| key.replace(own.as_str(), other))
    };
    spoil(host, |entries, index| {
        let (key, own) = &entries[index];
        let other = partner(key).and_then(|wanted| entries.iter().find(|(key, _)| *key == wanted));
        other.map_or(own, |(_, value)| value).clone()
    })
    .await;
    read_all(host, &users, quickest, &any, "the other user's entry").await;
    quickest.assert_met();
}

async fn an_emptied_store_is_filled_again(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    for _ in 0..3 {
        host.warm(&host.balance_call(&user)).await;
        host.key_value().clear().await.expect("the store clears");
        let balance = host.balance_call(&user).send().await.expect(200);
        assert_ne!(
            balance.cache(),
            "hit",
            "without a generation nothing is known to be current\n{balance}"
        );
        host.consume(&user, "1").await;
    }
    assert_eq!(host.balance(&user).await, decimal("7.00"));
}
