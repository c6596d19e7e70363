use serde_json::{Value, json};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::{check_authentication, check_disabled_user, check_methods};

const PERMISSIONS: &str = "/api/v1/permissions";

api_tests![lists_every_permission, refuses];

async fn lists_every_permission(host: &TestHost) {
    let ada = host.outsider("ada").await;
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

async fn refuses(host: &TestHost) {
    let ada = host.signup_and_login("ada").await;
    check_methods(host, PERMISSIONS, "GET").await;
    check_authentication(host, &ada, || host.get(PERMISSIONS)).await;
    check_disabled_user(host, || host.get(PERMISSIONS)).await;
}
