use turnpike_tests::{TestHost, api_tests};

api_tests![
    a_mistyped_path_is_a_problem_document,
    other_paths_are_the_hosts,
];

async fn a_mistyped_path_is_a_problem_document(host: &TestHost) {
    let paths = [
        "/api/v1/credits/balances",
        "/api/v1/credits",
        "/api/v1",
        "/api/v2/credits/balance",
        "/api/",
        "/api/v1/auth/login/extra",
        "/api/v1/credits/balance%2F",
        "/api/v1//credits/balance",
        "/api/v1/credits/../auth/me",
        "/api/v1/%00",
        "/api/v1/%FF",
        "/api/?a=%00",
    ];
    for path in paths {
        for method in [http::Method::GET, http::Method::POST, http::Method::DELETE] {
            host.call(method, path)
                .send()
                .await
                .expect_problem(404, "not_found");
        }
    }
    host.call(http::Method::OPTIONS, "/api/v1/nothing")
        .send()
        .await
        .expect_problem(405, "method_not_allowed");
}

/// Outside of /api the host answers, with no more than a status.
async fn other_paths_are_the_hosts(host: &TestHost) {
    for path in ["/", "/index.html", "/openapi.yaml", "/apis"] {
        host.get(path).unchecked().send().await.expect(404);
    }
    host.get("/.well-known/spin/health")
        .unchecked()
        .send()
        .await
        .expect(200);
}
