//! A host hashes only so many passwords at once, and says so to the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::json;
use turnpike_tests::personas::{LOGIN, PASSWORD, PASSWORD_CHANGE, REAUTHENTICATE};
use turnpike_tests::{Call, Settings, TestHost, run};

async fn count_leases(host: &TestHost) -> i64 {
    let rows = host.query("SELECT count(*) FROM hash_leases").await;
    rows[0].get(0)
}

fn one_at_a_time(settings: Settings) -> Settings {
    settings.with_variable("max_hashes_in_flight", "1")
}

#[test]
fn sixteen_logins_at_once_are_answered_or_turned_away() {
    run(one_at_a_time(Settings::pooled()), turns_away);
}

#[test]
fn so_they_are_by_fresh_instances() {
    run(one_at_a_time(Settings::fresh()), turns_away);
}

async fn turns_away(host: &TestHost) {
    let email = host.signup("ada").await;
    // An unknown email costs a hash too, and is turned away like any other.
    for (email, done) in [(email.as_str(), 200), ("nobody@example.com", 401)] {
        let calls: Vec<Call> = (0..16).map(|_| host.login_call(email, PASSWORD)).collect();
        let mut answered = 0;
        for response in join_all(calls.iter().map(Call::send)).await {
            if response.status == done {
                answered += 1;
            } else if response.status != 429 || done == 200 {
                let refused = response.expect_problem(503, "too_many_hashes");
                assert_eq!(refused.header("retry-after"), Some("1"), "{refused}");
            }
        }
        assert!(answered >= 1, "one at least must be answered {done}");
        host.assert_leases_are_given_back().await;
    }
    host.login_call(&email, PASSWORD).send().await.expect(200);
}

#[test]
fn a_lease_is_in_the_way_until_it_runs_out() {
    run(one_at_a_time(Settings::pooled()), async |host| {
        let user = host.new_user("ada").await;
        let lease = |host_id: &str, secs: i32| {
            format!(
                "DELETE FROM hash_leases;
                 INSERT INTO hash_leases (id, host_id, address, expires_at)
                 VALUES (gen_random_uuid(), '{host_id}', '127.0.0.1', now() + interval '{secs} seconds')"
            )
        };
        let new = "a quite different phrase";
        let calls = [
            host.login_call(&user.email, PASSWORD),
            host.post(REAUTHENTICATE)
                .bearer(&user.token)
                .json(&json!({"password": PASSWORD})),
            host.password_call(&user.token, PASSWORD, new),
            host.password_call(&user.token, new, PASSWORD),
        ];
        // As a holder leaves it that ended abruptly, and as another host holds it.
        for (host_id, secs) in [("", -1), ("another", 60)] {
            for call in &calls {
                host.execute(&lease(host_id, secs)).await;
                call.send().await.expect(200);
            }
        }
        host.execute(&lease("", 60)).await;
        for call in calls {
            let refused = call.send().await;
            refused.expect_problem(503, "too_many_hashes");
        }
        assert_eq!(
            count_leases(host).await,
            1,
            "who is turned away must leave none"
        );
    });
}

#[test]
fn every_way_out_gives_the_lease_back() {
    run(one_at_a_time(Settings::pooled()), async |host| {
        let user = host.new_user("ada").await;
        let table = [
            (host.login_call(&user.email, "wrong password"), 401),
            (host.login_call("nobody@example.com", PASSWORD), 401),
            (host.post(LOGIN).json(&json!({"email": user.email})), 422),
            (
                host.password_call(&user.token, "wrong password", PASSWORD),
                422,
            ),
            // Told apart from a good password only after the user was looked up.
            (host.password_call(&user.token, PASSWORD, &user.email), 422),
            (host.put(PASSWORD_CHANGE).json(&json!({})), 401),
            (
                host.post(REAUTHENTICATE)
                    .bearer(&user.token)
                    .json(&json!({"password": "x"})),
                422,
            ),
            (
                host.post(REAUTHENTICATE)
                    .bearer(&user.token)
                    .json(&json!({"totp_code": "1"})),
                422,
            ),
        ];
        for (call, status) in table {
            call.send().await.expect(status);
            host.assert_leases_are_given_back().await;
        }
    });
}

/// Who holds a lease leaves the reserve to those who hold none: one beside a bound below 16, and
/// one more for each eight.
#[test]
fn a_reserve_is_kept_for_others() {
    for (max, reserve) in [(1, 1), (8, 1), (64, 8)] {
        let settings = Settings::pooled().with_variable("max_hashes_in_flight", max.to_string());
        run(settings, async |host| {
            let user = host.new_user("ada").await;
            let call = host.login_call(&user.email, PASSWORD);
            let leases = |count: i32, address: &str| {
                format!(
                    "INSERT INTO hash_leases (id, host_id, address, expires_at)
                     SELECT gen_random_uuid(), '', '{address}', now() + interval '1 minute'
                       FROM generate_series(1, {count})"
                )
            };
            let table = [
                (leases(max, "192.0.2.1"), 200),
                (leases(max + reserve - 1, "192.0.2.1"), 200),
                (leases(max + reserve, "192.0.2.1"), 503),
                (leases(1, "127.0.0.1"), if max == 1 { 503 } else { 200 }),
                (
                    format!(
                        "{}; {}",
                        leases(1, "127.0.0.1"),
                        leases(max - 1, "192.0.2.1")
                    ),
                    503,
                ),
            ];
            for (others, status) in table {
                host.execute("DELETE FROM hash_leases").await;
                host.execute(&others).await;
                let answer = call.send().await.expect(status);
                if status == 503 {
                    answer.expect_problem(503, "too_many_hashes");
                }
            }
        });
    }
}

/// Whoever is turned away anyhow does not queue for the host's leases: they are told so while
/// another request holds the lock, on which whoever may take one waits.
#[test]
fn whoever_is_turned_away_does_not_queue() {
    let settings = Settings::pooled()
        .with_variable("trusted_proxies", "1")
        .with_variable("max_hashes_in_flight", "2");
    run(settings, async |host| {
        let user = host.new_user("ada").await;
        host.execute(
            "INSERT INTO hash_leases (id, host_id, address, expires_at)
             SELECT gen_random_uuid(), '', '192.0.2.1', now() + interval '5 minutes'
               FROM generate_series(1, 2);
             SELECT pg_advisory_lock(hashtext('hash_leases'), hashtext(''))",
        )
        .await;
        let from = |address: &str| host.login_call(&user.email, PASSWORD).client(address);
        let refused = from("192.0.2.1").send_once().await;
        refused.expect_problem(503, "too_many_hashes");
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event = 'advisory'";
        let releasing = async {
            let mut waits = 0;
            for _ in 0..500 {
                waits = host.query(waiting).await[0].get::<_, i64>(0);
                if waits > 0 {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            host.execute("SELECT pg_advisory_unlock(hashtext('hash_leases'), hashtext(''))")
                .await;
            waits
        };
        let other = from("192.0.2.2");
        let (other, waits) = join(other.send(), releasing).await;
        other.expect(200);
        assert_eq!(waits, 1, "one who may take a lease of the reserve waits");
    });
}

/// The pause of a client that was turned away.
const PAUSE: Duration = Duration::from_millis(20);

/// Sign-ins from other addresses, each of which waits for its turn to compute.
const OTHERS: usize = 6;

/// A hundred connections of one client at once are in nobody else's way.
#[test]
fn one_client_with_a_hundred_connections() {
    let settings = Settings::pooled()
        .with_variable("trusted_proxies", "1")
        .with_variable("max_hashes_in_flight", "16");
    run(settings, async |host| {
        let mut crowd = Vec::new();
        for _ in 0..100 {
            crowd.push(host.new_user("crowd").await.email);
        }
        let is_over = AtomicBool::new(false);
        let connections = crowd.iter().map(async |email| {
            let call = host.login_call(email, PASSWORD).client("203.0.113.66");
            let mut refused = 0;
            while !is_over.load(Ordering::SeqCst) {
                let response = call.send().await;
                if response.status == 503 {
                    response.expect_problem(503, "too_many_hashes");
                    refused += 1;
                    tokio::time::sleep(PAUSE).await;
                } else if response.status != 429 {
                    response.expect(200);
                }
            }
            refused
        });
        let others = async {
            let mut answered = 0;
            // One that is cut off may leave its lease for ten seconds, and two of them all of the
            // reserve: then the next one is turned away, and the test fails.
            for number in 1..=30 {
                let user = host.new_user("other").await;
                let call = host.login_call(&user.email, PASSWORD);
                let call = call.client(&format!("198.51.100.{number}"));
                let response = call.send_once().await;
                if response.is_from_a_busy_machine() {
                    continue;
                }
                response.expect(200);
                answered += 1;
                if answered == OTHERS {
                    break;
                }
            }
            is_over.store(true, Ordering::SeqCst);
            answered
        };
        let (refused, answered) = join(join_all(connections), others).await;
        let refused: u32 = refused.into_iter().sum();
        assert!(refused > 0, "the crowd must have filled its part");
        assert_eq!(answered, OTHERS, "nobody else was turned away");
    });
}
