//! What a browser is told about every response. That each has `nosniff` and its policy is
//! checked for all responses of all tests; here is what depends on `public_url`.

use http::Method;
use turnpike_tests::description::Description;
use turnpike_tests::environment::project_root;
use turnpike_tests::{Settings, TestHost, api_tests, run};

api_tests![without_tls_nothing_is_promised,];

/// One response of each operation, whatever it says, and of paths that have none.
async fn expect_on_every_response(host: &TestHost, expected: Option<&str>) {
    let description = Description::read(&project_root()).expect("openapi.json can be read");
    let mut targets = vec![(Method::GET, "/api/v1/nothing".to_owned())];
    for (path, method, _) in description.operations() {
        let method = method.parse().expect("a method");
        targets.push((method, path.replace(['{', '}'], "")));
    }
    assert!(targets.len() > 80, "only {} operations", targets.len());
    for (method, target) in targets {
        let response = host.call(method.clone(), &*target).send().await;
        assert_eq!(
            response.header("strict-transport-security"),
            expected,
            "{method} {target}\n{response}"
        );
    }
}

async fn without_tls_nothing_is_promised(host: &TestHost) {
    expect_on_every_response(host, None).await;
}

#[test]
fn behind_tls_browsers_come_by_tls() {
    let settings = Settings::pooled().with_variable("public_url", "https://pay.example");
    run(settings, async |host| {
        expect_on_every_response(host, Some("max-age=31536000")).await;
    });
}
