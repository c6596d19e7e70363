use serde_json::json;
use turnpike_host::Fault;
use turnpike_tests::{TestHost, api_tests};

api_tests![refuses,];

api_tests![
    fresh_too:
    lives_and_is_ready,
];

async fn lives_and_is_ready(host: &TestHost) {
    let live = host.get("/api/v1/health").send().await.expect(200);
    assert_eq!(live.json()["status"], "ok", "{live}");
    assert_eq!(
        live.db_queries(),
        0,
        "liveness must not depend on Postgres\n{live}"
    );
    let ready = host.get("/api/v1/health/ready").send().await.expect(200);
    assert_eq!(
        ready.json(),
        json!({"status": "ok", "postgres": "ok", "cache": "ok"}),
        "{ready}"
    );
    // Without the cache all is well, only slower.
    host.key_value().set_fault(Fault::Error);
    let ready = host.get("/api/v1/health/ready").send().await.expect(200);
    assert_eq!(
        ready.json(),
        json!({"status": "ok", "postgres": "ok", "cache": "unavailable"}),
        "{ready}"
    );
    host.get("/api/v1/health").send().await.expect(200);
}

async fn refuses(host: &TestHost) {
    host.get("/api/v1/health/other")
        .send()
        .await
        .expect_problem(404, "not_found");
}
