//! Subscriptions: what they owe and give back, what can be asked of them in which status, and that
//! a preview is what then happens.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use turnpike_tests::personas::{decimal, fresh_key};
use turnpike_tests::{TestHost, User, api_tests};

use self::desk::{Desk, flat, seats, shown_line, with};
use crate::refusals::refuse;

mod desk;
mod limits;
mod time;
mod walk;

pub const SUBSCRIPTIONS: &str = "/api/v1/subscriptions";

api_tests![
    is_made_shown_and_listed,
    lines_are_those_of_known_answers,
    each_status_allows_what_the_table_says,
    credits_of_a_cancellation_are_what_was_asked_for,
    pauses_owe_nothing,
    what_is_given_back_was_owed,
    an_old_version_is_refused,
    refuses,
];

async fn is_made_shown_and_listed(host: &TestHost) {
    let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
    let plan = desk.team().await;
    let call = desk.create_call(
        &plan,
        json!({"quantity": 5, "metadata": {"contract": "17"}, "billing": {"unit": "month"}}),
    );
    let made = call.send().await.expect(201);
    assert_eq!(made.db_queries(), 2, "{made}");
    assert_eq!(made.header("etag"), Some("\"v1\""), "{made}");
    let lines = made.json()["lines"].as_array().cloned().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(shown_line).collect();
    assert_eq!(lines, ["base 100.00 28/28", "seats 50.00 28/28"]);
    assert_eq!(made.text_at("/total/amount"), "150.00");
    // The same request again is the same subscription.
    assert_eq!(call.send().await.expect(201).json(), made.json());
    let id = made.text_at("/subscription/id");
    let shown = desk.get(&id, "").send().await.expect(200);
    assert_eq!(shown.json(), made.json()["subscription"]);
    assert_eq!(shown.header("etag"), Some("\"v1\""));
    let expected = [
        ("/status", json!("active")),
        ("/plan_version", json!(1)),
        ("/currency", json!("USD")),
        ("/billing/anchor_day", json!(31)),
        ("/billing/alignment", json!("anniversary")),
        ("/period/started_at", json!("2026-01-31T00:00:00.000000Z")),
        ("/period/ends_at", json!("2026-02-28T00:00:00.000000Z")),
        ("/metadata", json!({"contract": "17"})),
        ("/organization_id", json!(desk.organization)),
    ];
    for (pointer, value) in expected {
        assert_eq!(shown.json().pointer(pointer), Some(&value), "{pointer}");
    }
    let second = desk
        .create(&plan, json!({"billing": {"unit": "year"}}))
        .await;
    let listed = |caller: &User, query: String| {
        let call = host
            .get(format!("{SUBSCRIPTIONS}{query}"))
            .bearer(&caller.token);
        async move {
            let listed = call.send().await.expect(200).json();
            let listed = listed["subscriptions"].as_array().cloned();
            let ids = listed.unwrap_or_default();
            let ids = ids
                .iter()
                .map(|s| s["id"].as_str().unwrap_or_default().to_owned());
            ids.collect::<Vec<_>>()
        }
    };
    let (own, stranger) = ([second.clone(), id.clone()], host.new_user("eve").await);
    let account = &desk.account;
    for query in [
        String::new(),
        format!("?account_id={account}"),
        format!("?plan={plan}"),
        "?status=active".to_owned(),
        format!("?plan={plan}&status=active&account_id={account}"),
    ] {
        assert_eq!(listed(&desk.owner, query.clone()).await, own, "{query}");
        assert_eq!(listed(&desk.admin, query.clone()).await, own, "{query}");
        assert_eq!(listed(&stranger, query).await, [""; 0], "another tenant");
    }
    for query in [
        "?status=canceled",
        "?plan=nobodys",
        "?account_id=acc_0193e7a1b2c37d4e8f90a1b2c3d4e5f6",
    ] {
        assert_eq!(
            listed(&desk.admin, query.to_owned()).await,
            [""; 0],
            "{query}"
        );
    }
    let page = host
        .get(format!("{SUBSCRIPTIONS}?limit=1"))
        .bearer(&desk.owner.token);
    let page = page.send().await.expect(200);
    let cursor = page.text_at("/next_cursor");
    assert_eq!(
        listed(&desk.owner, format!("?limit=1&cursor={cursor}")).await,
        [&*id]
    );
    for what in ["", "/adjustments", "/changes"] {
        let call = host
            .get(format!("{SUBSCRIPTIONS}/{id}{what}"))
            .bearer(&stranger.token);
        refuse(host, call, 404, "not_found", &[]).await;
    }
    let rows = host
        .query("SELECT subject FROM audit_events WHERE event_type = 'subscription.created' ORDER BY sequence")
        .await;
    let audited: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(audited, [id, second]);
}

/// What somebody does when the clock shows a time.
type Act<'a> = (&'a str, &'a str, Value);

async fn lines_are_those_of_known_answers(host: &TestHost) {
    // The currency, the charges of one version and of the next, what the subscription has beside
    // them, when it starts, what is done later, and all lines.
    let none = Vec::<Act>::new();
    let table = [
        // A trial of 45 days that ends within a calendar month.
        (
            "USD",
            json!([flat("base", "5000000")]),
            None,
            json!({"trial_days": 45, "billing": {"unit": "month", "alignment": "calendar"}}),
            "2024-03-05T00:00:00Z",
            none.clone(),
            "2024-04-30T00:00:00Z",
            vec!["base 2000000.00 12/30"],
        ),
        // By the second.
        (
            "JPY",
            json!([flat("base", "1000")]),
            None,
            json!({"proration": "second"}),
            "2017-02-14T00:00:00Z",
            vec![(
                "2017-03-03T19:14:48Z",
                "cancel",
                json!({"when": "now", "credit": "unused"}),
            )],
            "2017-04-01T00:00:00Z",
            vec!["base 1000 2419200/2419200", "base -364 881112/2419200"],
        ),
        // Five seats become ten when 15 of 30 days are left.
        (
            "USD",
            json!([seats("10")]),
            None,
            json!({"quantity": 5}),
            "2026-04-01T00:00:00Z",
            vec![("2026-04-16T00:00:00Z", "change", json!({"quantity": 10}))],
            "2026-04-17T00:00:00Z",
            vec![
                "seats 50.00 30/30",
                "seats -25.00 15/30",
                "seats 50.00 15/30",
            ],
        ),
        // One fee doubles, one goes and one comes, half-way; what stays has no line.
        (
            "USD",
            json!([flat("a", "100"), flat("b", "30"), flat("d", "7")]),
            Some(json!([flat("a", "200"), flat("c", "50"), flat("d", "7")])),
            json!({}),
            "2026-04-01T00:00:00Z",
            vec![("2026-04-16T12:00:00Z", "change", json!({"plan_version": 2}))],
            "2026-04-17T00:00:00Z",
            vec![
                "a 100.00 30/30",
                "b 30.00 30/30",
                "d 7.00 30/30",
                "a -50.00 15/30",
                "b -15.00 15/30",
                "a 100.00 15/30",
                "c 25.00 15/30",
            ],
        ),
        // Paused on its second day, which is paid for.
        (
            "USD",
            json!([flat("base", "249.95")]),
            None,
            json!({}),
            "2026-03-02T00:00:00Z",
            vec![("2026-03-03T10:00:00Z", "pause", json!({}))],
            "2026-03-20T00:00:00Z",
            vec!["base 249.95 31/31", "base -233.82 29/31"],
        ),
        // Months of 30 days: an anchor day before the start.
        (
            "USD",
            json!([flat("base", "30")]),
            None,
            json!({"proration": "fixed_30", "billing": {"unit": "month", "anchor_day": 31}}),
            "2026-02-10T00:00:00Z",
            none.clone(),
            "2026-04-01T00:00:00Z",
            vec!["base 20.00 20/30", "base 30.00 30/30", "base 30.00 30/30"],
        ),
        // Without proration whoever is there when a period begins pays all of it.
        (
            "USD",
            json!([seats("10")]),
            None,
            json!({"proration": "none", "billing": {"unit": "month", "alignment": "calendar"}}),
            "2026-02-10T00:00:00Z",
            vec![
                ("2026-02-15T00:00:00Z", "change", json!({"quantity": 3})),
                (
                    "2026-03-15T00:00:00Z",
                    "cancel",
                    json!({"when": "now", "credit": "unused"}),
                ),
            ],
            "2026-04-02T00:00:00Z",
            vec!["seats 10.00 1/1", "seats 30.00 1/1"],
        ),
    ];
    for (currency, charges, next, others, start, acts, end, expected) in table {
        let desk = Desk::at(host, start).await;
        let plan = desk.plan(currency, charges).await;
        let id = desk.create(&plan, others.clone()).await;
        if let Some(next) = next {
            desk.version(&plan, next).await;
        }
        for (at, action, body) in acts {
            desk.clock(at).await;
            desk.act(&id, action, body).await;
        }
        desk.clock(end).await;
        assert_eq!(desk.lines(&id).await, expected, "{others} from {start}");
    }
}

/// What can be asked, each with a body that is right in some status.
fn actions() -> [(&'static str, Value); 9] {
    [
        ("change", json!({"quantity": 7})),
        ("change", json!({"quantity": 7, "when": "period_end"})),
        ("cancel", json!({"when": "now"})),
        ("cancel", json!({"when": "period_end"})),
        (
            "cancel",
            json!({"when": "date", "at": "2026-09-09T00:00:00Z"}),
        ),
        ("resume", json!({})),
        ("pause", json!({})),
        ("unpause", json!({})),
        ("resume", json!({"after": "a cancellation"})),
    ]
}

/// The table of docs/subscriptions.md: what each status allows, in the order of `actions`, and the
/// status after it.
const TABLE: [(&str, [Option<&str>; 9]); 5] = [
    (
        "scheduled",
        [
            Some("scheduled"),
            None,
            Some("canceled"),
            None,
            Some("scheduled"),
            None,
            None,
            None,
            Some("scheduled"),
        ],
    ),
    (
        "trialing",
        [
            Some("trialing"),
            Some("trialing"),
            Some("canceled"),
            Some("trialing"),
            Some("trialing"),
            None,
            None,
            None,
            Some("trialing"),
        ],
    ),
    (
        "active",
        [
            Some("active"),
            Some("active"),
            Some("canceled"),
            Some("active"),
            Some("active"),
            None,
            Some("paused"),
            None,
            Some("active"),
        ],
    ),
    (
        "paused",
        [
            None,
            Some("paused"),
            Some("canceled"),
            Some("paused"),
            Some("paused"),
            None,
            None,
            Some("active"),
            Some("paused"),
        ],
    ),
    ("canceled", [None; 9]),
];

async fn each_status_allows_what_the_table_says(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    for (status, allowed) in TABLE {
        for ((action, body), after) in actions().into_iter().zip(allowed) {
            // Each has a plan of its own, because a second trial of one is refused.
            let plan = desk.team().await;
            let others = match status {
                "scheduled" => json!({"starts_at": "2026-06-01T00:00:00Z"}),
                "trialing" => json!({"trial_days": 14}),
                _ => json!({}),
            };
            let id = desk.create(&plan, others).await;
            match status {
                "paused" => desk.act(&id, "pause", json!({})).await,
                "canceled" => desk.act(&id, "cancel", json!({"when": "now"})).await,
                _ => Value::Null,
            };
            if body["after"] == "a cancellation" && status != "canceled" {
                let later = json!({"when": "date", "at": "2026-09-09T00:00:00Z"});
                desk.act(&id, "cancel", later).await;
            }
            let before = desk.shown(&id).await;
            assert_eq!(before["status"], status);
            let preview_body = if action == "resume" {
                json!({})
            } else {
                body.clone()
            };
            let previewed = desk.preview_call(&id, action, &preview_body).send().await;
            let response = desk.call(&id, action, &body).send().await;
            match after {
                Some(after) => {
                    let response = response.expect(200);
                    assert_eq!(
                        response.text_at("/subscription/status"),
                        after,
                        "{response}"
                    );
                    assert_eq!(previewed.expect(200).json(), response.json());
                }
                None => {
                    response.expect_problem(409, "action_not_allowed");
                    previewed.expect_problem(409, "action_not_allowed");
                    assert_eq!(desk.shown(&id).await, before, "{action} of {status}");
                }
            }
        }
    }
}

async fn credits_of_a_cancellation_are_what_was_asked_for(host: &TestHost) {
    for (credit, expected) in [
        ("none", "0.00"),
        // 19 of 30 days of two seats.
        ("unused", "-12.67"),
        // 10.00 for one seat, less 6.67, and 13.33 for two.
        ("full", "-16.66"),
    ] {
        let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
        let plan = desk.plan("USD", json!([seats("10")])).await;
        let id = desk.create(&plan, json!({})).await;
        desk.clock("2026-04-11T00:00:00Z").await;
        desk.act(&id, "change", json!({"quantity": 2})).await;
        desk.clock("2026-04-11T23:00:00Z").await;
        let canceled = desk
            .act(&id, "cancel", json!({"when": "now", "credit": credit}))
            .await;
        assert_eq!(
            canceled["total"]["amount"], expected,
            "{credit}: {canceled}"
        );
    }
}

async fn pauses_owe_nothing(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.plan("USD", json!([flat("base", "30")])).await;
    let id = desk.create(&plan, json!({})).await;
    desk.clock("2026-04-10T08:00:00Z").await;
    desk.act(&id, "pause", json!({})).await;
    // On the day of the pause, which is paid for.
    desk.clock("2026-04-10T20:00:00Z").await;
    desk.act(&id, "unpause", json!({})).await;
    desk.clock("2026-04-20T00:00:00Z").await;
    desk.act(&id, "pause", json!({})).await;
    desk.act(
        &id,
        "change",
        json!({"when": "period_end", "price_overrides": [
        {"charge": "base", "price": {"amount": "60", "currency": "USD"}}]}),
    )
    .await;
    desk.clock("2026-06-16T00:00:00Z").await;
    desk.act(&id, "unpause", json!({})).await;
    assert_eq!(
        desk.lines(&id).await,
        [
            "base 30.00 30/30",
            "base -20.00 20/30",
            "base 20.00 20/30",
            "base -10.00 10/30",
            "base 30.00 15/30",
        ]
    );
}

async fn what_is_given_back_was_owed(host: &TestHost) {
    for rounding in ["half_even", "up", "down", "ceiling", "floor"] {
        let desk = Desk::at(host, "2026-05-01T00:00:00Z").await;
        let mut base = flat("base", "19.95");
        base["rounding"] = json!(rounding);
        let plan = desk.plan("USD", json!([base])).await;
        let id = desk.create(&plan, json!({})).await;
        desk.clock("2026-05-11T00:00:00Z").await;
        let paused = desk.act(&id, "pause", json!({})).await;
        let unpaused = desk.act(&id, "unpause", json!({})).await;
        let amounts = [&paused, &unpaused]
            .map(|changed| decimal(changed["total"]["amount"].as_str().unwrap_or_default()));
        assert_eq!(
            amounts[0] + amounts[1],
            Decimal::ZERO,
            "{rounding}: {amounts:?}"
        );
    }
}

async fn an_old_version_is_refused(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.team().await;
    let id = desk.create(&plan, json!({})).await;
    let body = json!({"quantity": 2});
    let change = |tag: &str| desk.call(&id, "change", &body).header("if-match", tag);
    change("\"v2\"")
        .send()
        .await
        .expect_problem(412, "version_conflict");
    let changed = change("\"v1\"").send().await.expect(200);
    assert_eq!(changed.header("etag"), Some("\"v2\""), "{changed}");
    change("\"v1\"")
        .send()
        .await
        .expect_problem(412, "version_conflict");
    // The same terms change nothing.
    let same = change("*").send().await.expect(200);
    assert_eq!(same.json()["subscription"], changed.json()["subscription"]);
    assert_eq!(same.json()["lines"], json!([]));
    let call = desk.preview_call(&id, "pause", &json!({}));
    let call = call.header("if-match", "\"v1\"");
    call.send().await.expect_problem(412, "version_conflict");
    refuse(host, change("v1"), 400, "invalid_parameter", &["if-match"]).await;
}

async fn refuses(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.team().await;
    let euros = desk.plan("EUR", json!([flat("base", "1")])).await;
    let id = desk.create(&plan, json!({})).await;
    let before = desk.shown(&id).await;
    let price = |charge: &str, amount: &str, currency: &str| json!({"price_overrides": [{"charge": charge, "price": {"amount": amount, "currency": currency}}]});
    let twice = json!({"price_overrides": [
        {"charge": "base", "price": {"amount": "1", "currency": "USD"}},
        {"charge": "base", "price": {"amount": "2", "currency": "USD"}}]});
    for (others, field) in [
        (json!({"plan": "nobodys"}), "plan"),
        (json!({"plan_version": 2}), "plan_version"),
        (json!({"plan_version": 0}), "plan_version"),
        (json!({"quantity": 0}), "quantity"),
        (json!({"quantity": -1}), "quantity"),
        (json!({"quantity": 1_000_001}), "quantity"),
        (json!({"trial_days": 731}), "trial_days"),
        (json!({"starts_at": "1999-12-31T00:00:00Z"}), "starts_at"),
        (json!({"starts_at": "2025-01-01T00:00:00Z"}), "starts_at"),
        (json!({"starts_at": "9901-01-01T00:00:00Z"}), "starts_at"),
        (json!({"billing": {"unit": "fortnight"}}), "billing.unit"),
        (
            json!({"billing": {"unit": "year", "count": 4}}),
            "billing.count",
        ),
        (
            json!({"billing": {"unit": "day", "anchor_day": 3}}),
            "billing.anchor_day",
        ),
        (
            json!({"billing": {"unit": "month", "anchor_day": 3, "alignment": "calendar"}}),
            "billing.anchor_day",
        ),
        (
            json!({"proration": "fixed_30", "billing": {"unit": "week"}}),
            "proration",
        ),
        (json!({"proration": "actual"}), "proration"),
        (
            price("base", "1", "EUR"),
            "price_overrides[0].price.currency",
        ),
        (
            price("base", "0.001", "USD"),
            "price_overrides[0].price.amount",
        ),
        (
            price("base", "-1", "USD"),
            "price_overrides[0].price.amount",
        ),
        (price("nothing", "1", "USD"), "price_overrides[0].charge"),
        (twice.clone(), "price_overrides[1].charge"),
        (json!({"metadata": {"k": 1}}), "metadata.k"),
    ] {
        let call = desk.create_call(&plan, others.clone());
        refuse(host, call, 422, "invalid_fields", &[field]).await;
        let body = with(json!({"account_id": desk.account, "plan": plan}), others);
        let call = host
            .post(format!("{SUBSCRIPTIONS}/preview"))
            .bearer(&desk.admin.token);
        refuse(host, call.json(&body), 422, "invalid_fields", &[field]).await;
    }
    for (action, body, field) in [
        ("change", json!({}), ""),
        ("change", json!({"plan": euros}), "plan"),
        ("change", json!({"plan": "nobodys"}), "plan"),
        ("change", json!({"plan_version": 9}), "plan_version"),
        ("change", json!({"quantity": -5}), "quantity"),
        (
            "change",
            price("base", "1", "EUR"),
            "price_overrides[0].price.currency",
        ),
        ("change", twice, "price_overrides[1].charge"),
        ("cancel", json!({}), "when"),
        ("cancel", json!({"when": "date"}), "at"),
        (
            "cancel",
            json!({"when": "now", "at": "2026-09-09T00:00:00Z"}),
            "at",
        ),
        // An end before now, which is after the start.
        (
            "cancel",
            json!({"when": "date", "at": "2026-03-01T00:00:00Z"}),
            "at",
        ),
        (
            "pause",
            json!({"resumes_at": "2026-04-01T00:00:00Z"}),
            "resumes_at",
        ),
    ] {
        let call = desk.call(&id, action, &body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
        let call = desk.preview_call(&id, action, &body);
        refuse(host, call, 422, "invalid_fields", &[field]).await;
    }
    let call = desk.preview_call(&id, "renew", &json!({}));
    refuse(host, call, 422, "invalid_fields", &["type"]).await;
    assert_eq!(desk.shown(&id).await, before, "nothing was changed");
    // Who may not, and what is not there.
    let nobodys = "sub_0193e7a1b2c37d4e8f90a1b2c3d4e5f6";
    for (action, body) in actions()
        .into_iter()
        .filter(|(_, body)| body["after"].is_null())
    {
        let call = desk.call(nobodys, action, &body);
        refuse(host, call, 404, "not_found", &[]).await;
        let path = format!("{SUBSCRIPTIONS}/{id}/{action}");
        let call = host
            .post(path)
            .bearer(&desk.owner.token)
            .idempotency_key(&fresh_key());
        let call = match action {
            "resume" | "unpause" => call,
            _ => call.json(&body),
        };
        refuse(host, call, 403, "forbidden", &[]).await;
    }
    let missing = json!({"account_id": "acc_0193e7a1b2c37d4e8f90a1b2c3d4e5f6"});
    refuse(
        host,
        desk.create_call(&plan, missing),
        404,
        "not_found",
        &[],
    )
    .await;
    let clock = |to: &str| {
        let path = format!("/api/v1/accounts/{}/test-clock", desk.account);
        host.post(path)
            .bearer(&desk.admin.token)
            .json(&json!({"to": to}))
    };
    refuse(
        host,
        clock("2026-03-31T00:00:00Z"),
        422,
        "invalid_fields",
        &["to"],
    )
    .await;
    host.execute(&format!(
        "UPDATE billing_accounts SET is_test = false, test_clock_at = NULL, currency = 'EUR'
          WHERE organization_id = '{}'",
        desk.organization.as_uuid()
    ))
    .await;
    let call = clock("2026-06-01T00:00:00Z");
    refuse(host, call, 409, "account_not_in_test_mode", &[]).await;
    let call = desk.create_call(&plan, json!({}));
    refuse(host, call, 422, "invalid_fields", &["plan"]).await;
    host.execute(&format!(
        "UPDATE billing_accounts SET status = 'closed', closed_at = now() WHERE organization_id = '{}'",
        desk.organization.as_uuid()
    ))
    .await;
    let call = desk.create_call(&plan, json!({}));
    refuse(host, call, 409, "account_closed", &[]).await;
}
