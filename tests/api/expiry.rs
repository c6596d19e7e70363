//! A token ends when it says, whether it is cached or not.

use std::time::Duration;

use turnpike_tests::personas::{BALANCE, ME};
use turnpike_tests::{TestHost, api_tests};

/// How long the token of the second test still lives: enough for the few reads that cache it.
const LIFE: Duration = Duration::from_millis(1_000);

api_tests![
    an_expired_token_is_refused,
    a_token_that_expires_while_cached_is_refused,
];

async fn an_expired_token_is_refused(host: &TestHost) {
    let user = host.signup_and_login("ada").await;
    host.execute("UPDATE access_tokens SET expires_at = now() - interval '1 second'")
        .await;
    for path in [ME, BALANCE] {
        for _ in 0..3 {
            let response = host.get(path).bearer(&user.token).send().await;
            response.expect_problem(401, "unauthenticated");
        }
    }
}

async fn a_token_that_expires_while_cached_is_refused(host: &TestHost) {
    let user = host.signup_and_login("ada").await;
    host.execute("UPDATE access_tokens SET expires_at = now() + interval '1 second'")
        .await;
    let began = std::time::Instant::now();
    let calls = [ME, BALANCE].map(|path| host.get(path).bearer(&user.token));
    for call in &calls {
        // Reads until it is cached, unless the machine is so slow that it expires first.
        while began.elapsed() < LIFE {
            let response = call.send().await;
            if response.status != 200 || response.cache() == "hit" {
                break;
            }
        }
    }
    tokio::time::sleep((LIFE + Duration::from_millis(500)).saturating_sub(began.elapsed())).await;
    for call in calls {
        call.send().await.expect_problem(401, "unauthenticated");
    }
}
