//! What an open period has cost so far, and what it will come to.

use serde_json::{Value, json};
use turnpike_tests::personas::{decimal, fresh_key, unique};
use turnpike_tests::{Call, TestHost, User, api_tests};

use crate::metering::{meter, send};

api_tests![
    is_what_was_billed_and_what_was_used,
    bounds_are_of_the_part_that_is_paid_for,
    a_trial_costs_what_it_does_not_cover,
    terms_hold_for_the_usage_of_their_time,
    belongs_to_its_organization,
];

/// An account in test mode, half of whose period of forty days is over.
struct Half<'a> {
    host: &'a TestHost,
    admin: User,
    owner: User,
    account: String,
}

impl<'a> Half<'a> {
    async fn new(host: &'a TestHost) -> Self {
        let owner = host.new_user("owner").await;
        let organization = host.organization_of(&owner).await.as_uuid();
        host.execute(&format!(
            "UPDATE billing_accounts SET is_test = true WHERE organization_id = '{organization}'"
        ))
        .await;
        let half = Self {
            host,
            admin: host.platform_admin().await,
            owner,
            account: format!("acc_{}", organization.simple()),
        };
        half.clock(20, 0).await;
        half
    }

    /// The midnight of UTC so many days ago, and so many hours later.
    async fn time(&self, days_ago: i32, hours: i32) -> String {
        let rows = self
            .host
            .query(&format!(
                "SELECT rfc3339(date_trunc('day', now(), 'UTC')
                                + interval '{hours} hours' - interval '{} hours')",
                days_ago * 24
            ))
            .await;
        rows[0].get(0)
    }

    async fn clock(&self, days_ago: i32, hours: i32) {
        let path = format!("/api/v1/accounts/{}/test-clock", self.account);
        let to = self.time(days_ago, hours).await;
        let call = self.host.post(path).bearer(&self.admin.token);
        call.json(&json!({"to": to})).send().await.expect(200);
    }

    /// Subscribes to a plan with these terms twenty days ago; returns the subscription's id.
    async fn subscribe(&self, terms: Value, more: Value) -> String {
        let code = format!("p{}", unique());
        let plan = json!({
            "code": code, "name": "Plan", "currency": "USD", "billing_period": "month",
        });
        let post = |path: String, body: &Value| {
            let call = self.host.post(path).bearer(&self.admin.token);
            call.idempotency_key(&fresh_key()).json(body)
        };
        let made = post("/api/v1/plans".to_owned(), &plan).send().await;
        made.expect(201);
        let version = post(format!("/api/v1/plans/{code}/versions"), &terms);
        version.send().await.expect(201);
        let mut body = json!({
            "account_id": self.account, "plan": code, "quantity": 2,
            "billing": {"unit": "day", "count": 40},
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let made = post("/api/v1/subscriptions".to_owned(), &body);
        made.send().await.expect(201).text_at("/subscription/id")
    }

    /// Usage of a day and an hour.
    async fn use_at(&self, days_ago: i32, hours: i32, properties: Value) {
        let event = json!({
            "id": fresh_key(), "type": "call", "time": self.time(days_ago, hours).await,
            "properties": properties,
        });
        assert_eq!(send(self.host, &self.owner.token, &event).await, [1, 0, 0]);
    }

    fn spend_call(&self, user: &User) -> Call {
        let path = format!("/api/v1/accounts/{}/spend", self.account);
        self.host.get(path).bearer(&user.token)
    }

    /// The spend of the only subscription.
    async fn spend(&self) -> Value {
        let response = self.spend_call(&self.owner).send().await.expect(200);
        let body = response.json();
        assert_eq!(
            body["subscriptions"].as_array().map(Vec::len),
            Some(1),
            "{response}"
        );
        body["subscriptions"][0].clone()
    }
}

/// The lines of a spend, or of what is expected: charge or kind, quantity and amount.
fn lines(of: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |line: &Value| {
        let name = if line["charge"].is_null() {
            &line["kind"]
        } else {
            &line["charge"]
        };
        format!(
            "{} {} {}",
            text(name),
            text(&line["quantity"]),
            text(&line["amount"]["amount"])
        )
    };
    let lines: Vec<Value> = of["lines"].as_array().cloned().unwrap_or_default();
    let total = lines
        .iter()
        .map(|line| decimal(line["amount"]["amount"].as_str().unwrap_or("?")));
    assert_eq!(
        decimal(of["total"]["amount"].as_str().unwrap_or("?")),
        total.sum(),
        "{of}"
    );
    lines.iter().map(line).collect()
}

fn charge(code: &str, metric: &str, model: Value) -> Value {
    json!({"code": code, "name": code, "metric": metric, "model": model})
}

fn flat(code: &str, billing: &str, amount: &str) -> Value {
    json!({"code": code, "name": code, "billing": billing, "model": {"type": "flat", "amount": amount}})
}

fn per_unit(price: &str) -> Value {
    json!({"type": "per_unit", "unit_price": price})
}

async fn is_what_was_billed_and_what_was_used(host: &TestHost) {
    let half = Half::new(host).await;
    let token = &half.owner.token;
    meter(host, token, "calls", "count", json!({})).await;
    meter(host, token, "tokens", "sum", json!({})).await;
    meter(host, token, "peak", "max", json!({})).await;
    meter(host, token, "kwh", "sum", json!({})).await;
    meter(host, token, "rows", "sum", json!({"group_by": ["region"]})).await;
    let mut seats = charge("seats", "seats", per_unit("10"));
    seats["billing"] = json!("advance");
    let tiers = json!([{"up_to": "100", "unit_price": "0.10"}, {"unit_price": "0.05"}]);
    let matrix = |values: &[&str]| {
        let cells = values
            .iter()
            .map(|value| json!({"values": [value], "unit_price": "1"}));
        json!({"type": "matrix", "dimensions": ["region"], "cells": cells.collect::<Vec<_>>()})
    };
    let mut sized = matrix(&["small"]);
    sized["dimensions"] = json!(["size"]);
    let time_of_use = json!({
        "type": "time_of_use", "fallback_unit_price": "0.10",
        "windows": [{"name": "evening", "hours": {"from": 16, "to": 21}, "unit_price": "0.50"}],
    });
    let percentage = json!({"type": "percentage", "rate_percent": "2.9"});
    let terms = json!({"charges": [
        flat("base", "advance", "30"), seats, flat("support", "arrears", "5"),
        charge("calls", "calls", per_unit("0.01")),
        charge("tokens", "tokens", json!({"type": "graduated", "tiers": tiers})),
        charge("peak", "peak", per_unit("0.1")),
        charge("power", "kwh", time_of_use),
        charge("rows", "rows", matrix(&["eu", "us"])),
        charge("few-rows", "rows", matrix(&["eu"])),
        charge("sizes", "rows", sized),
        charge("payments", "tokens", percentage),
        charge("other", "other", per_unit("1")),
    ]});
    // Before the period, within a trial of nobody.
    half.use_at(21, 0, json!({"n": 1_000, "region": "eu"}))
        .await;
    let overrides = json!([{"charge": "calls", "price": {"amount": "0.02", "currency": "USD"}}]);
    half.subscribe(terms, json!({"price_overrides": overrides}))
        .await;
    let new = half.spend().await;
    assert_eq!(
        new["expected"],
        Value::Null,
        "nothing of the period is over: {new}"
    );

    half.use_at(20, 0, json!({"n": 50, "region": "eu"})).await;
    half.use_at(10, 15, json!({"n": 70, "region": "us"})).await;
    half.use_at(10, 16, json!({"n": 30.5, "region": "us"}))
        .await;
    half.clock(0, 0).await;
    let spend = half.spend().await;
    // Two reads are of one moment, because the clock stands still.
    assert_eq!(half.spend().await, spend);
    assert_eq!(
        lines(&spend),
        [
            "base - 30.00",
            "seats - 20.00",
            "support - 5.00",
            "calls 3 0.06",
            "tokens 150.5 12.52",
            "peak 70 7.00",
            "power 150.5 27.25",
            "rows 150.5 150.50",
        ],
        "{spend}"
    );
    let unrated: Vec<_> = spend["unrated"].as_array().into_iter().flatten().collect();
    let unrated: Vec<_> = unrated
        .iter()
        .map(|one| (one["charge"].as_str(), one["reason"].as_str()))
        .collect();
    assert_eq!(
        unrated,
        [
            (Some("sizes"), Some("not_kept")),
            (Some("payments"), Some("needs_events")),
            (Some("other"), Some("no_meter")),
            (Some("few-rows"), Some("no_price")),
        ]
    );
    let expected = &spend["expected"];
    assert_eq!(expected["method"], "linear");
    assert_eq!(
        lines(expected),
        [
            "base - 30.00",
            "seats - 20.00",
            "support - 5.00",
            "calls 6 0.12",
            "tokens 301 20.05",
            "peak 70 7.00",
            "power 301 54.50",
            "rows 301 301.00",
        ],
        "{expected}"
    );
}

async fn bounds_are_of_the_part_that_is_paid_for(host: &TestHost) {
    let half = Half::new(host).await;
    meter(host, &half.owner.token, "calls", "count", json!({})).await;
    half.use_at(20, 0, json!({"n": 1})).await;
    let calls = |price: &str| charge("calls", "calls", per_unit(price));
    let mut bounded = calls("1");
    bounded["minimum"] = json!("8");
    // Terms, how it is billed, what it has cost, and what it will come to.
    let table = [
        (
            json!({"charges": [calls("1")], "minimum_commitment": "40"}),
            json!({}),
            vec!["calls 1 1.00"],
            vec!["calls 2 2.00", "minimum_commitment - 38.00"],
        ),
        (
            json!({"charges": [calls("50")], "maximum_spend": "40"}),
            json!({}),
            vec!["calls 1 50.00", "maximum_spend - -10.00"],
            vec!["calls 2 100.00", "maximum_spend - -60.00"],
        ),
        (
            json!({"charges": [bounded, flat("fee", "arrears", "10")]}),
            json!({}),
            vec!["calls 1 8.00", "fee - 10.00"],
            vec!["calls 2 8.00", "fee - 10.00"],
        ),
    ];
    half.clock(0, 0).await;
    for (terms, more, so_far, expected) in table {
        let mut more = more;
        more["starts_at"] = json!(half.time(20, 0).await);
        let id = half.subscribe(terms, more).await;
        let spend = half.spend().await;
        assert_eq!(spend["subscription_id"], id.as_str());
        assert_eq!(lines(&spend), so_far, "{spend}");
        assert_eq!(lines(&spend["expected"]), expected, "{spend}");
        let path = format!("/api/v1/subscriptions/{id}/cancel");
        let call = host
            .post(path)
            .bearer(&half.admin.token)
            .idempotency_key(&fresh_key());
        call.json(&json!({"when": "now"}))
            .settle()
            .await
            .expect(200);
    }
}

async fn a_trial_costs_what_it_does_not_cover(host: &TestHost) {
    let half = Half::new(host).await;
    for slug in ["first", "second"] {
        meter(host, &half.owner.token, slug, "count", json!({})).await;
    }
    half.use_at(18, 0, json!({"n": 1})).await;
    half.use_at(5, 0, json!({"n": 1})).await;
    for (metric, covers) in [("first", "every_charge"), ("second", "advance_charges")] {
        let mut calls = charge("calls", metric, per_unit("1"));
        calls["maximum"] = json!("40");
        let terms = json!({
            "charges": [calls], "trial": {"days": 10, "covers": covers}, "minimum_commitment": "40",
        });
        half.subscribe(terms, json!({})).await;
    }
    // Of each what it has cost, and what it will come to: usage goes on as it did since it costs money,
    // and the commitment is for the thirty days after the trial.
    let table = [
        (
            15,
            [vec![], vec!["calls 1 1.00"]],
            [vec![], vec!["calls 8 8.00"]],
        ),
        (
            0,
            [vec!["calls 1 1.00"], vec!["calls 1 1.00", "calls 1 1.00"]],
            [
                vec!["calls 3 3.00", "minimum_commitment - 27.00"],
                vec!["calls 1 1.00", "calls 3 3.00", "minimum_commitment - 26.00"],
            ],
        ),
    ];
    for (days_ago, so_far, expected) in table {
        half.clock(days_ago, 0).await;
        let body = half.spend_call(&half.owner).send().await.expect(200).json();
        for (index, (so_far, expected)) in so_far.into_iter().zip(expected).enumerate() {
            let spend = &body["subscriptions"][index];
            assert_eq!(lines(spend), so_far, "{spend}");
            assert_eq!(lines(&spend["expected"]), expected, "{spend}");
        }
    }
}

async fn terms_hold_for_the_usage_of_their_time(host: &TestHost) {
    let half = Half::new(host).await;
    meter(host, &half.owner.token, "calls", "count", json!({})).await;
    for (days_ago, count) in [(18, 1), (12, 2), (8, 4), (2, 8)] {
        for _ in 0..count {
            half.use_at(days_ago, 0, json!({"n": 1})).await;
        }
    }
    let mut calls = charge("calls", "calls", per_unit("1"));
    calls["maximum"] = json!("400");
    let terms = json!({"charges": [calls, flat("fee", "arrears", "40")]});
    let id = half.subscribe(terms.clone(), json!({})).await;
    let act = async |action: &str, body: Value| {
        let path = format!("/api/v1/subscriptions/{id}/{action}");
        let call = host.post(path).bearer(&half.admin.token);
        let call = call.idempotency_key(&fresh_key());
        let call = if action == "unpause" {
            call
        } else {
            call.json(&body)
        };
        call.settle().await.expect(200);
    };
    half.clock(15, 0).await;
    let doubled = json!([{"charge": "calls", "price": {"amount": "2", "currency": "USD"}}]);
    act("change", json!({"price_overrides": doubled})).await;
    // The number of seats prices nothing here, and parts nothing.
    act("change", json!({"quantity": 7})).await;
    half.clock(10, 12).await;
    act("pause", json!({})).await;
    half.clock(4, 0).await;
    let paused = half.spend().await;
    // Five days, and six with the day of the pause; the calls of the pause cost nothing.
    let before = ["calls 1 1.00", "fee - 5.00", "calls 2 4.00", "fee - 6.00"];
    assert_eq!(lines(&paused), before, "{paused}");
    assert_eq!(lines(&paused["expected"]), before, "{paused}");
    act("unpause", Value::Null).await;
    let other = half.subscribe(terms, json!({})).await;
    half.clock(0, 0).await;
    let body = half.spend_call(&half.owner).send().await.expect(200).json();
    let [spend, second] = [0, 1].map(|index| &body["subscriptions"][index]);
    assert_eq!(
        lines(spend),
        [&before[..], &["calls 8 16.00", "fee - 24.00"]].concat(),
        "{spend}"
    );
    // Four days are over of twenty-four.
    assert_eq!(
        lines(&spend["expected"]),
        [&before[..], &["calls 48 96.00", "fee - 24.00"]].concat(),
        "{spend}"
    );
    // Usage is paid for once.
    assert_eq!(second["subscription_id"], other.as_str());
    assert_eq!(lines(second), ["fee - 40.00"], "{second}");
    assert_eq!(
        second["unrated"],
        json!([{"charge": "calls", "reason": "counted_elsewhere"}])
    );
    // To be canceled in four days, of which the last one is used.
    let rows = host
        .query("SELECT rfc3339(date_trunc('day', now(), 'UTC') + interval '96 hours')")
        .await;
    let at: String = rows[0].get(0);
    act("cancel", json!({"when": "date", "at": at})).await;
    let body = half.spend_call(&half.owner).send().await.expect(200).json();
    assert_eq!(
        lines(&body["subscriptions"][0]["expected"]),
        [&before[..], &["calls 16 32.00", "fee - 9.00"]].concat(),
        "{body}"
    );
}

async fn belongs_to_its_organization(host: &TestHost) {
    let half = Half::new(host).await;
    let stranger = host.new_user("stranger").await;
    half.spend_call(&stranger)
        .send()
        .await
        .expect_problem(404, "not_found");
    let of_admin = half.spend_call(&half.admin).send().await.expect(200).json();
    assert_eq!(of_admin["subscriptions"], json!([]));
    for id in ["acc_1", &half.account.to_uppercase()] {
        let call = host
            .get(format!("/api/v1/accounts/{id}/spend"))
            .bearer(&half.owner.token);
        call.send().await.expect_problem(404, "not_found");
    }
}
