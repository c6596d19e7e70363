//! A custom pricing model that misbehaves is an error of its charge, and of no other.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use turnpike_tests::environment::test_component;
use turnpike_tests::{Settings, TestHost, User, api_tests, run};

use crate::pricing_model::{estimate, estimate_once, terms};
use crate::refusals::refuse;

/// What the models of one estimate may take together, and what is around them on a
/// machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(3 + 5);

/// Attempts at an answer within [`PATIENCE`].
const ATTEMPTS: u32 = 5;

/// Where the private component would be if it were served.
const NO_ROUTES: [&str; 3] = [
    "/pricing-custom",
    "/api/v1/pricing/custom",
    "/api/v1/pricing-custom",
];

api_tests![is_not_served, takes_so_many_charges_and_parameters];

#[test]
fn what_a_hostile_model_does_stays_with_its_charge() {
    let hostile = test_component("pricing-hostile");
    for settings in [Settings::pooled(), Settings::fresh()] {
        run(
            settings.with_source("pricing-model", &hostile),
            async |host: &TestHost| {
                stays_with_its_charge(host).await;
                breaks_alone(host).await;
                is_waited_for_so_long(host).await;
            },
        );
    }
}

async fn is_not_served(host: &TestHost) {
    let user = host.new_user("ada").await;
    for path in NO_ROUTES {
        let call = host.post(path).bearer(&user.token).json(&json!({}));
        call.unchecked().send().await.expect(404);
    }
}

async fn takes_so_many_charges_and_parameters(host: &TestHost) {
    let user = host.new_user("ada").await;
    let fill = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
    let whole = terms(&fill(8_192), &json!("nothing"));
    let got = estimate(host, &user, &whole).await;
    assert_eq!(got["lines"][1]["error"]["code"], "model_refused");
    let of = |count: usize| {
        let charge = |number: usize| {
            json!({"code": format!("used-{number}"), "name": "Used", "metric": "used",
                   "model": {"type": "custom", "parameters": {"models": [{"type": "flat", "amount": "1"}]}}})
        };
        json!({"currency": "USD", "charges": (0..count).map(charge).collect::<Vec<_>>()})
    };
    let got = estimate(host, &user, &of(10)).await;
    assert_eq!(got["total"]["amount"], "10.00");
    let with = |name: &str, value: Value| {
        let mut body = terms(&json!({}), &json!("nothing"));
        body["charges"][1][name] = value;
        body
    };
    let hour = json!({"hours": [{"month": 0, "weekday": "friday", "hour": 1, "quantity": "1"}]});
    let nest = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let deep = estimate(host, &user, &terms(&nest(16), &json!("nothing"))).await;
    assert_eq!(deep["lines"][1]["error"]["code"], "model_refused");
    let table: [(Value, &[&str]); 11] = [
        (of(11), &["charges"]),
        (
            terms(&nest(17), &json!("nothing")),
            &["charges[1].model.parameters"],
        ),
        // A JSON parser would still read this, and not the answer of the database around it.
        (
            terms(&nest(123), &json!("nothing")),
            &["charges[1].model.parameters"],
        ),
        (
            terms(&fill(8_193), &json!("nothing")),
            &["charges[1].model.parameters"],
        ),
        (
            terms(&json!([]), &json!("nothing")),
            &["charges[1].model.parameters"],
        ),
        (
            terms(&json!({"a": 1.5}), &json!("nothing")),
            &["charges[1].model.parameters.a"],
        ),
        (
            terms(&json!({"a": "\0"}), &json!("nothing")),
            &["charges[1].model.parameters.a"],
        ),
        (with("minimum", json!("1")), &["charges[1].minimum"]),
        (
            with("included_units", json!("1")),
            &["charges[1].included_units"],
        ),
        (with("billing", json!("advance")), &["charges[1].billing"]),
        (terms(&json!({}), &hour), &["usage.used"]),
    ];
    for (body, fields) in table {
        let call = host.post("/api/v1/pricing/estimate").bearer(&user.token);
        refuse(host, call.json(&body), 422, "invalid_fields", fields).await;
    }
}

/// An estimate that came in time. A busy machine may take several attempts to make one.
async fn estimate_in_time(host: &TestHost, user: &User, body: &Value) -> Value {
    for _ in 0..ATTEMPTS {
        let began = Instant::now();
        let got = estimate_once(host, user, body).await;
        if began.elapsed() < PATIENCE {
            return got;
        }
    }
    panic!("no answer within {PATIENCE:?}: {body}");
}

async fn stays_with_its_charge(host: &TestHost) {
    let user = host.new_user("ada").await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be listened on");
    let address = listener
        .local_addr()
        .expect("it has an address")
        .to_string();
    let table = [
        (json!({"do": "trap"}), "model_failed", "broke off"),
        (json!({"do": "exhaust_memory"}), "model_failed", "broke off"),
        (json!({"do": "loop"}), "model_timed_out", "in time"),
        (json!({"do": "refuse"}), "model_refused", "I will not."),
        (
            json!({"do": "refuse_at_length"}),
            "model_refused",
            "no no no",
        ),
        (json!({"do": "no_lines"}), "model_invalid", "1 to 20 lines"),
        (
            json!({"do": "many_lines"}),
            "model_invalid",
            "1 to 20 lines",
        ),
        (
            json!({"do": "many_steps"}),
            "model_invalid",
            "lines[0].steps",
        ),
        (
            json!({"do": "garbage_amount"}),
            "model_invalid",
            "lines[0].amount",
        ),
        (
            json!({"do": "negative_amount"}),
            "model_invalid",
            "below zero",
        ),
        (json!({"do": "huge_amount"}), "model_invalid", "below 10^12"),
        (
            json!({"do": "wrong_sum"}),
            "model_invalid",
            "steps sum to 1",
        ),
        (
            json!({"do": "long_text"}),
            "model_invalid",
            "lines[0].description",
        ),
        (
            json!({"do": "control_text"}),
            "model_invalid",
            "lines[0].description",
        ),
        (
            json!({"do": "network", "to": address}),
            "model_refused",
            "there is no network",
        ),
        (
            json!({"do": "environment"}),
            "model_refused",
            "neither a variable nor a file",
        ),
    ];
    for (parameters, code, message) in table {
        let body = terms(&parameters, &json!("nothing"));
        let got = match parameters["do"].as_str() {
            Some("loop") => estimate_in_time(host, &user, &body).await,
            _ => estimate(host, &user, &body).await,
        };
        let line = &got["lines"][1];
        assert_eq!(line["error"]["code"], code, "{parameters}: {line}");
        let said = line["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{parameters}: {said}");
        assert!(!said.contains(char::is_control) && said.chars().count() <= 500);
        assert_eq!(line["amount"], json!(null));
        assert_eq!(got["lines"][0]["amount"]["amount"], "10.00", "{parameters}");
        assert_eq!(got["total"], json!(null), "{parameters}");
        let body = terms(&json!({"do": "ok"}), &json!("nothing"));
        let got = estimate(host, &user, &body).await;
        assert_eq!(got["total"]["amount"], "11.25", "after {parameters}");
    }
}

/// Half of many estimates at once have a model that breaks.
async fn breaks_alone(host: &TestHost) {
    let user = host.new_user("bob").await;
    let bodies: Vec<Value> = (0..32)
        .map(|number| {
            let deed = if number % 2 == 0 { "ok" } else { "trap" };
            terms(&json!({"do": deed}), &json!("nothing"))
        })
        .collect();
    let estimates = bodies.iter().map(|body| estimate(host, &user, body));
    for (number, got) in join_all(estimates).await.into_iter().enumerate() {
        if number % 2 == 0 {
            assert_eq!(got["total"]["amount"], "11.25", "{number}: {got}");
        } else {
            let code = &got["lines"][1]["error"]["code"];
            assert_eq!(code, "model_failed", "{number}: {got}");
        }
    }
}

/// All charges of an estimate together are not waited for longer than two of them.
async fn is_waited_for_so_long(host: &TestHost) {
    let user = host.new_user("eve").await;
    let charge = |number: usize| {
        let deed = if number == 0 { "ok" } else { "loop" };
        json!({"code": format!("used-{number}"), "name": "Used", "metric": "used",
               "model": {"type": "custom", "parameters": {"do": deed}}})
    };
    let body = json!({"currency": "USD", "charges": (0..10).map(charge).collect::<Vec<_>>()});
    let got = estimate_in_time(host, &user, &body).await;
    // A busy machine may leave no time for the one that would answer.
    let first = &got["lines"][0];
    assert!(
        first["amount"]["amount"] == "1.25" || first["error"]["code"] == "model_timed_out",
        "{first}"
    );
    for line in 1..10 {
        let code = &got["lines"][line]["error"]["code"];
        assert_eq!(code, "model_timed_out", "{got}");
    }
}
