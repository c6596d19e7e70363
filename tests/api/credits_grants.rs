use serde_json::json;
use shared::ids::UserId;
use turnpike_tests::personas::{GRANTS, fresh_key};
use turnpike_tests::{TestHost, api_tests};

use crate::refusals::{
    check_authentication, check_disabled_user, check_json_body, check_methods, check_money_input,
    refuse,
};

api_tests![
    gives_credits,
    is_done_once_for_each_key,
    refuses,
    stops_at_the_largest_balance,
];

async fn gives_credits(host: &TestHost) {
    let admin = host.platform_admin().await;
    let user = host.signup_and_login("ada").await;
    let body = json!({"user_id": user.id, "amount": "12.5", "currency": "USD", "description": "welcome 🎁"});
    let call = host
        .post(GRANTS)
        .bearer(&admin.token)
        .idempotency_key(&fresh_key())
        .json(&body);
    let response = call.send().await.expect(201);
    let transaction = &response.json()["transaction"];
    assert_eq!(response.json()["user_id"], json!(user.id), "{response}");
    assert_eq!(transaction["kind"], "grant", "{response}");
    assert_eq!(
        transaction["amount"],
        json!({"amount": "12.50", "currency": "USD"}),
        "{response}"
    );
    assert_eq!(
        transaction["available_after"]["amount"], "12.50",
        "{response}"
    );
    assert_eq!(transaction["description"], "welcome 🎁", "{response}");
    let again = host.grant(&admin, &user, "0.000000001", "USD").await;
    assert_eq!(again["available_after"]["amount"], "12.500000001");
    let largest = host
        .grant(&admin, &user, "999999999999.999999999", "EUR")
        .await;
    assert_eq!(largest["amount"]["amount"], "999999999999.999999999");
    // Oneself and others, in any organization.
    host.grant(&admin, &admin, "1", "USD").await;
}

async fn is_done_once_for_each_key(host: &TestHost) {
    let admin = host.platform_admin().await;
    let (user, other) = (
        host.signup_and_login("ada").await,
        host.signup_and_login("eve").await,
    );
    let key = "k".repeat(255);
    let send = |to: UserId, amount: &str| {
        let body = json!({"user_id": to, "amount": amount, "currency": "USD"});
        host.post(GRANTS)
            .bearer(&admin.token)
            .idempotency_key(&key)
            .json(&body)
    };
    let first = send(user.id, "5").send().await.expect(201);
    let second = send(user.id, "5").send().await.expect(201);
    assert_eq!(
        first.json(),
        second.json(),
        "a repeated key must repeat the first answer"
    );
    refuse(host, send(user.id, "6"), 422, "idempotency_key_reused", &[]).await;
    refuse(
        host,
        send(other.id, "5"),
        422,
        "idempotency_key_reused",
        &[],
    )
    .await;
    assert_eq!(
        host.count_transfers(&user, "grant").await,
        1,
        "one key is one grant"
    );
    assert_eq!(host.balance(&user).await.to_string(), "5.00");
    // The same key from somebody else is another key.
    let second_admin = host.platform_admin().await;
    let body = json!({"user_id": user.id, "amount": "5", "currency": "USD"});
    let call = host
        .post(GRANTS)
        .bearer(&second_admin.token)
        .idempotency_key(&key)
        .json(&body);
    call.send().await.expect(201);
    assert_eq!(host.balance(&user).await.to_string(), "10.00");
}

async fn refuses(host: &TestHost) {
    check_methods(host, GRANTS, "POST").await;
    let admin = host.platform_admin().await;
    let user = host.signup_and_login("ada").await;
    let valid = json!({"user_id": user.id, "amount": "1", "currency": "USD"});
    let with_token = || host.post(GRANTS).bearer(&admin.token);
    let without_token = || host.post(GRANTS).idempotency_key(&fresh_key()).json(&valid);
    check_authentication(host, &admin, without_token).await;
    check_disabled_user(host, without_token).await;
    check_json_body(host, || with_token().idempotency_key(&fresh_key()), &valid).await;
    check_money_input(host, with_token, &valid).await;

    let id = user.id.to_string();
    let ids = [
        json!(""),
        json!("usr_1"),
        json!(id.replace("usr_", "org_")),
        json!(id.to_uppercase()),
        json!(&id[4..]),
        json!(format!("{id}0")),
        json!(format!("{id}\u{0}")),
        json!(1),
        json!(null),
        json!([id]),
    ];
    for id in ids {
        let body = json!({"user_id": id, "amount": "1", "currency": "USD"});
        let call = with_token().idempotency_key(&fresh_key()).json(&body);
        refuse(host, call, 422, "invalid_fields", &["user_id"]).await;
    }
    let nobody = UserId::new(1, &[9; shared::ids::RANDOM_BYTES]);
    refuse(
        host,
        host.grant_call(&admin, nobody, "1", "USD"),
        404,
        "not_found",
        &[],
    )
    .await;
    // An owner may spend, and give nothing: neither to others nor to themselves.
    refuse(
        host,
        host.grant_call(&user, user.id, "1", "USD"),
        403,
        "forbidden",
        &[],
    )
    .await;
    refuse(
        host,
        host.grant_call(&user, nobody, "1", "USD"),
        403,
        "forbidden",
        &[],
    )
    .await;
}

/// numeric(27,9) holds 18 digits before the point. A grant that would not fit is refused,
/// and the account stays usable.
async fn stops_at_the_largest_balance(host: &TestHost) {
    let (user, admin) = host.user_with("1").await;
    // A million of the largest grants, in one transfer as no request could ask for it.
    host.execute(
        "WITH raised AS (UPDATE credit_accounts
                SET issued = issued - 999999999999999000, available = available + 999999999999999000,
                    sequence = sequence + 1 RETURNING *)
         INSERT INTO ledger_transfers (id, account_id, sequence, kind, debited, credited, amount,
                                       available_after, description, actor_id)
         SELECT gen_random_uuid(), id, sequence, 'grant', 'issued', 'available',
                999999999999999000, available, '', user_id FROM raised",
    ).await;
    let call = host.grant_call(&admin, user.id, "999999999999", "USD");
    refuse(host, call, 422, "invalid_fields", &["amount"]).await;
    host.grant(&admin, &user, "1", "USD").await;
    assert_eq!(
        host.balance(&user).await.to_string(),
        "999999999999999002.00"
    );
    host.consume(&user, "0.000000001").await;
    assert_eq!(
        host.balance(&user).await.to_string(),
        "999999999999999001.999999999"
    );
}
