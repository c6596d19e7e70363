//! What every route of a kind must refuse, as tables that the components' modules run. What every
//! operation must refuse, whatever it does, is in `authorization_matrix`.

use serde_json::{Value, json};
use turnpike_tests::personas::{fresh_key, sql_id};
use turnpike_tests::{Call, TestHost, User};

/// Sends a request that must be refused, and checks that no money moved.
pub async fn refuse(host: &TestHost, call: Call, status: u16, code: &str, fields: &[&str]) {
    let before = host.money_state().await;
    let response = call.send().await.expect_fields(status, code, fields);
    let after = host.money_state().await;
    if before != after {
        response.fail(&format!(
            "a refused request must change nothing, but the ledger went from\n{before}\nto\n{after}"
        ));
    }
}

/// Takes every permission from the user.
pub async fn take_permissions(host: &TestHost, user: &User) {
    host.execute(&format!(
        "INSERT INTO built_in_roles (name, permissions) VALUES ('nobody', '{{}}') ON CONFLICT DO NOTHING;
         UPDATE memberships SET role = 'nobody' WHERE user_id = {}",
        sql_id(user.id)
    ))
    .await;
}

/// Runs a route for money with every amount, currency, description and Idempotency-Key that is
/// none. `build` gives the request with its token and nothing else.
pub async fn check_money_input(host: &TestHost, build: impl Fn() -> Call, valid: &Value) {
    let digits_29 = "1".repeat(29);
    let with = |field: &str, value: Value| {
        let mut body = valid.clone();
        body[field] = value;
        build().idempotency_key(&fresh_key()).json(&body)
    };
    let amounts = [
        json!("-1"),
        json!("-0.01"),
        json!("0"),
        json!("0.00"),
        json!("-0"),
        json!(""),
        json!(digits_29),
        json!("1000000000000"),
        json!("0.0000000001"),
        json!("1e3"),
        json!("1E-3"),
        json!("+1"),
        json!(".5"),
        json!("1."),
        json!("01"),
        json!(" 1"),
        json!("1 "),
        json!("1,5"),
        json!("1_000"),
        json!("0x1"),
        json!("NaN"),
        json!("Infinity"),
        json!("\u{661}"),
        json!("1\0"),
        json!("$1"),
        json!(1),
        json!(1.5),
        json!(0),
        json!(-1),
        json!(null),
        json!(true),
        json!([]),
        json!(["1"]),
        json!({}),
        json!({"amount": "1"}),
    ];
    for amount in amounts {
        let call = with("amount", amount);
        refuse(host, call, 422, "invalid_fields", &["amount"]).await;
    }
    let currencies = [
        json!("usd"),
        json!("Usd"),
        json!("XYZ"),
        json!("XXX"),
        json!("XAU"),
        json!(""),
        json!("US"),
        json!("USDT"),
        json!(" USD"),
        json!("US\0"),
        json!("ＵＳＤ"),
        json!(840),
        json!(null),
        json!(["USD"]),
        json!({}),
    ];
    for currency in currencies {
        let call = with("currency", currency);
        refuse(host, call, 422, "invalid_fields", &["currency"]).await;
    }
    for description in [
        json!("d".repeat(501)),
        json!("a\0b"),
        json!(1),
        json!([]),
        json!(false),
    ] {
        let call = with("description", description);
        refuse(host, call, 422, "invalid_fields", &["description"]).await;
    }
    for field in ["amount", "currency"] {
        let mut body = valid.clone();
        body.as_object_mut()
            .expect("the body is an object")
            .remove(field);
        let call = build().idempotency_key(&fresh_key()).json(&body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }

    let key_field = ["idempotency-key"];
    let keyless = build().json(valid);
    refuse(host, keyless, 400, "invalid_parameter", &key_field).await;
    let keys = [
        String::new(),
        "a".repeat(256),
        "a b".to_owned(),
        "ключ".to_owned(),
        "a\tb".to_owned(),
    ];
    for key in keys {
        let call = build().header("idempotency-key", key).json(valid);
        refuse(host, call, 400, "invalid_parameter", &key_field).await;
    }
    let call = build()
        .idempotency_key("one")
        .idempotency_key("two")
        .json(valid);
    refuse(host, call, 400, "invalid_parameter", &key_field).await;
}

/// Runs a route with a `currency` parameter with everything that is none.
pub async fn check_currency_parameter(host: &TestHost, build: impl Fn(&str) -> Call) {
    let queries = [
        "currency=",
        "currency=usd",
        "currency=XYZ",
        "currency=US",
        "currency=USDT",
        "currency=%00",
        "currency=U%00D",
        "currency=%FF",
        "currency=USD&currency=EUR",
        "currency=USD&currency=USD",
    ];
    for query in queries {
        let call = build(query);
        refuse(host, call, 400, "invalid_parameter", &["currency"]).await;
    }
}
