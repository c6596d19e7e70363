//! The same promises with the cache in a Redis server.

use std::time::{Duration, Instant};

use turnpike_host::KeyValueOptions;
use turnpike_tests::host::block_on;
use turnpike_tests::personas::{ME, decimal};
use turnpike_tests::redis_server::RedisServer;
use turnpike_tests::{Quickest, Reuse, Settings, TestHost};

/// How soon every request is answered while Redis says nothing.
const ANSWER_BOUND: Duration = Duration::from_millis(500);

/// How soon no read is stale any more once Redis answers again. A write repeats its invalidation
/// with pauses that double from 100 milliseconds, so it comes as long after the outage as that was,
/// at the latest. A balance that was not invalidated would be served for a minute.
const RECOVERY_BOUND: Duration = Duration::from_secs(15);

/// When the cache must be used again after an outage: instances leave it alone for a second.
const REUSE_BOUND: Duration = Duration::from_secs(60);

/// Spends during an outage.
const SPENDS: u32 = 3;

async fn check(reuse: Reuse) {
    let Some(redis) = RedisServer::start_for_test().await else {
        return;
    };
    let settings = match reuse {
        Reuse::Pooled => Settings::pooled(),
        Reuse::Fresh => Settings::fresh(),
    };
    let url = redis.url();
    let host = TestHost::start(settings.with_key_value(KeyValueOptions::Redis { url })).await;
    let (user, admin) = host.user_with("10.00").await;
    let cached = host.warm(&host.balance_call(&user)).await;
    assert_eq!(cached.db_queries(), 0, "a hit needs no statement\n{cached}");
    host.consume(&user, "1").await;
    assert_eq!(
        host.balance(&user).await,
        decimal("9.00"),
        "a spend must show at once"
    );
    host.warm(&host.balance_call(&user)).await;
    host.warm(&host.get(ME).bearer(&user.token)).await;

    redis.signal("-STOP");
    let mut quickest = Quickest::within(ANSWER_BOUND);
    let mut expected = decimal("9.00");
    let mut spends = 0;
    while spends < SPENDS || quickest.asks_for_more() {
        spends += 1;
        let calls = [
            ("a spend", host.consume_call(&user, "0.10"), 201),
            ("a balance", host.balance_call(&user), 200),
            ("who one is", host.get(ME).bearer(&user.token), 200),
        ];
        for (kind, call, status) in calls {
            quickest.note(kind, &call.settle().await.expect(status));
        }
        expected -= decimal("0.10");
        assert_eq!(host.balance(&user).await, expected);
    }
    quickest.assert_met();
    redis.signal("-CONT");
    let deadline = Instant::now() + RECOVERY_BOUND;
    while host.balance(&user).await != expected {
        assert!(
            Instant::now() < deadline,
            "{RECOVERY_BOUND:?} after Redis came back a read is still stale"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    host.grant(&admin, &user, "1", "USD").await;
    expected += decimal("1");
    for _ in 0..20 {
        assert_eq!(
            host.balance(&user).await,
            expected,
            "once right, it must stay right"
        );
    }
    let deadline = Instant::now() + REUSE_BOUND;
    while host.balance_call(&user).send().await.expect(200).cache() != "hit" {
        assert!(
            Instant::now() < deadline,
            "the cache must be used again after the outage"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    host.finish().await;
}

#[test]
fn keeps_the_promises_of_the_cache_pooled() {
    block_on(check(Reuse::Pooled));
}

#[test]
fn keeps_the_promises_of_the_cache_fresh() {
    block_on(check(Reuse::Fresh));
}
