use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;
use turnpike_tests::personas::DEV_OUTBOX;
use turnpike_tests::{TestHost, api_tests};

api_tests![
    a_mistyped_path_is_a_problem_document,
    a_path_has_one_spelling,
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

/// Other spellings of a path, which a router may take for the path.
fn misspelt(path: &str) -> [String; 5] {
    let last = path.rfind('/').expect("a path has a slash");
    [
        format!("/{path}"),
        format!("{path}/"),
        format!("{}//{}", &path[..last], &path[last + 1..]),
        format!("{}/.{}", &path[..last], &path[last..]),
        format!("{}/x/..{}", &path[..last], &path[last..]),
    ]
}

/// Every operation in every other spelling is nothing, also for who may do everything.
async fn a_path_has_one_spelling(host: &TestHost) {
    let admin = host.platform_admin().await;
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let described = description.operations();
    let described = described.map(|(path, method, _)| (path.replace(['{', '}'], ""), method));
    let of_the_developer = (DEV_OUTBOX.to_owned(), "GET".to_owned());
    for (path, method) in described.chain([of_the_developer]) {
        for target in misspelt(&path) {
            let method = method.parse().expect("a method");
            let call = host.call(method, &*target).bearer(&admin.token).unchecked();
            call.send().await.expect(404);
        }
    }
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
