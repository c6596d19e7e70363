//! The demo tenant, which `cargo run` loads into its private Postgres.

use serde_json::json;
use turnpike_host::cli::seed::load_demo;
use turnpike_tests::{TestHost, api_tests};

api_tests![signs_in_and_has_credits_however_often_it_is_loaded];

async fn signs_in_and_has_credits_however_often_it_is_loaded(host: &TestHost) {
    let mut balances = Vec::new();
    for _ in 0..2 {
        let demo = match load_demo(host.db()).await {
            Ok(demo) => demo,
            Err(error) => panic!("the demo is not loaded: {error:#}; mend host/src/cli/seed.rs"),
        };
        let login = host
            .post("/api/v1/auth/login")
            .json(&json!({"email": demo.email, "password": demo.password}))
            .send()
            .await
            .expect(200)
            .json();
        let token = login["access_token"].as_str().unwrap_or_default();
        let balance = host
            .get("/api/v1/credits/balance")
            .bearer(token)
            .send()
            .await
            .expect(200)
            .json();
        balances.push(balance["available"]["amount"].clone());
    }
    assert_ne!(balances[0], "0.00", "the demo has credits to spend");
    assert_eq!(balances[0], balances[1], "a second load grants nothing");
}
