use turnpike_tests::{TestHost, api_tests, environment};

api_tests![serves_the_description];

async fn serves_the_description(host: &TestHost) {
    let response = host.get("/openapi.json").send().await.expect(200);
    assert_eq!(
        response.header("content-type"),
        Some("application/json"),
        "{response}"
    );
    assert_eq!(
        &response.json(),
        environment().description.document(),
        "serve functions/openapi/openapi.json as it is"
    );
    let version = response.text_at("/openapi");
    assert!(
        version.starts_with("3.1."),
        "the description must be OpenAPI 3.1, not {version}"
    );
}
