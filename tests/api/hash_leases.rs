//! A host hashes only so many passwords at once, and says so to the rest.

use futures::future::join_all;
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
                 INSERT INTO hash_leases
                 VALUES (gen_random_uuid(), '{host_id}', now() + interval '{secs} seconds')"
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
