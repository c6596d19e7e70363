use serde_json::json;
use turnpike_tests::personas::{BALANCE, CONSUME, LOGOUT, ME, TRANSACTIONS, fresh_key};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::refuse;

api_tests![refuses,];

api_tests![
    fresh_too:
    ends_the_session_everywhere,
];

/// Dead on the next request, everywhere, whatever is cached.
async fn ends_the_session_everywhere(host: &TestHost) {
    let (user, _) = host.user_with("10.00").await;
    let other_token = host.issue_token(&user).await;
    let reads = [host.get(ME), host.get(BALANCE)];
    for read in &reads {
        host.warm(&read.clone().bearer(&user.token)).await;
        host.warm(&read.clone().bearer(&other_token)).await;
    }
    let response = host
        .post(LOGOUT)
        .bearer(&user.token)
        .send()
        .await
        .expect(200);
    assert_eq!(response.json(), json!({"status": "logged_out"}));
    let body = json!({"amount": "1", "currency": "USD"});
    let spend = host.post(CONSUME).idempotency_key(&fresh_key()).json(&body);
    for call in [
        host.get(ME),
        host.get(BALANCE),
        host.get(TRANSACTIONS),
        spend,
        host.post(LOGOUT),
    ] {
        call.bearer(&user.token)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
    }
    for read in reads {
        read.bearer(&other_token).send().await.expect(200);
    }
    assert_eq!(host.ledger_balance(&user).await.to_string(), "10.000000000");
}

async fn refuses(host: &TestHost) {
    let user = host.new_user("ada").await;
    let key = host.issue_api_key(&user, &["credits:read"]).await;
    refuse(
        host,
        host.post(LOGOUT).bearer(&key.key),
        403,
        "session_required",
        &[],
    )
    .await;
    host.get(ME).bearer(&user.token).send().await.expect(200);
}
