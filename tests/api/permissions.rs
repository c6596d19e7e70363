use serde_json::{Value, json};
use turnpike_tests::{TestHost, api_tests};

const PERMISSIONS: &str = "/api/v1/permissions";

api_tests![lists_every_permission];

async fn lists_every_permission(host: &TestHost) {
    let ada = host.new_user("ada").await;
    let key = host.issue_api_key(&ada, &["credits:read"]).await.key;
    for token in [&ada.token, &key] {
        let listed = host
            .get(PERMISSIONS)
            .bearer(token)
            .send()
            .await
            .expect(200)
            .json();
        let permissions: Vec<Value> = listed["permissions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|permission| json!([permission["name"], permission["is_platform"]]))
            .collect();
        for expected in [
            json!(["organization:manage", false]),
            json!(["credits:grant", true]),
            json!(["users:manage", true]),
        ] {
            assert!(permissions.contains(&expected), "{permissions:?}");
        }
    }
}
