//! Subscriptions: what they owe and give back, what can be asked of them in which status, and that
//! a preview is what then happens.

use futures::future::join_all;
use jiff::Span;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{decimal, fresh_key, unique};
use turnpike_tests::random::Random;
use turnpike_tests::{Call, Response, TestHost, User, api_tests};

use crate::refusals::refuse;

pub const SUBSCRIPTIONS: &str = "/api/v1/subscriptions";

api_tests![
    is_made_shown_and_listed,
    lines_are_those_of_known_answers,
    each_status_allows_what_the_table_says,
    time_does_what_is_due_in_order,
    credits_of_a_cancellation_are_what_was_asked_for,
    pauses_owe_nothing,
    a_second_trial_is_refused,
    a_change_is_to_a_plan_for_the_same_time,
    what_is_given_back_was_owed,
    a_skipped_boundary_costs_no_day,
    the_job_lets_time_pass,
    what_cannot_be_advanced_stops_no_other,
    there_are_so_many,
    the_first_decides_the_currency,
    a_preview_is_what_then_happens,
    of_changes_at_once_each_is_one_version,
    of_what_can_be_done_once_one_does_it,
    an_old_version_is_refused,
    refuses,
];

/// An account in test mode whose clock shows a time, and who manages subscriptions.
struct Desk<'a> {
    host: &'a TestHost,
    admin: User,
    owner: User,
    organization: OrganizationId,
    account: String,
}

impl<'a> Desk<'a> {
    /// The clock can be set back here, as long as there is no subscription.
    async fn at(host: &'a TestHost, clock: &str) -> Self {
        let owner = host.new_user("owner").await;
        let organization = host.organization_of(&owner).await;
        let desk = Self {
            host,
            admin: host.platform_admin().await,
            organization,
            account: format!("acc_{}", organization.as_uuid().simple()),
            owner,
        };
        host.execute(&format!(
            "UPDATE billing_accounts SET is_test = true WHERE organization_id = '{}'",
            organization.as_uuid()
        ))
        .await;
        desk.clock(clock).await;
        desk
    }

    /// Moves the clock, and everything with it.
    async fn clock(&self, to: &str) {
        let path = format!("/api/v1/accounts/{}/test-clock", self.account);
        let call = self.host.post(path).bearer(&self.admin.token);
        let moved = call.json(&json!({"to": to})).send().await.expect(200);
        assert_eq!(moved.json()["is_complete"], true, "{moved}");
        assert_eq!(moved.json()["failed"], 0, "{moved}");
    }

    /// A plan by the month, with a version of these charges; returns its code.
    async fn plan(&self, currency: &str, charges: Value) -> String {
        let code = format!("p{}", unique());
        let plan = json!({
            "code": code, "name": "Plan", "currency": currency, "billing_period": "month",
        });
        let call = self.host.post("/api/v1/plans").bearer(&self.admin.token);
        call.json(&plan).send().await.expect(201);
        self.version(&code, charges).await;
        code
    }

    /// Another version of a plan.
    async fn version(&self, plan: &str, charges: Value) {
        let path = format!("/api/v1/plans/{plan}/versions");
        let call = self.host.post(path).bearer(&self.admin.token);
        let terms = json!({"charges": charges});
        call.json(&terms).send().await.expect(201);
    }

    /// A plan of 100 for all and 10 for each seat.
    async fn team(&self) -> String {
        let tokens = json!({
            "code": "tokens", "name": "Tokens", "metric": "tokens",
            "model": {"type": "per_unit", "unit_price": "0.01"},
        });
        self.plan("USD", json!([flat("base", "100"), seats("10"), tokens]))
            .await
    }

    fn create_call(&self, plan: &str, others: Value) -> Call {
        let body = with(json!({"account_id": self.account, "plan": plan}), others);
        let call = self.host.post(SUBSCRIPTIONS).bearer(&self.admin.token);
        call.idempotency_key(&fresh_key()).json(&body)
    }

    /// Makes a subscription; returns its id.
    async fn create(&self, plan: &str, others: Value) -> String {
        let made = self.create_call(plan, others).send().await.expect(201);
        made.text_at("/subscription/id")
    }

    fn call(&self, id: &str, action: &str, body: &Value) -> Call {
        let path = format!("{SUBSCRIPTIONS}/{id}/{action}");
        let call = self.host.post(path).bearer(&self.admin.token);
        let call = call.idempotency_key(&fresh_key());
        match action {
            "resume" | "unpause" => call,
            _ => call.json(body),
        }
    }

    async fn act(&self, id: &str, action: &str, body: Value) -> Value {
        let response = self.call(id, action, &body).settle().await.expect(200);
        response.json()
    }

    fn preview_call(&self, id: &str, action: &str, body: &Value) -> Call {
        let path = format!("{SUBSCRIPTIONS}/{id}/preview");
        let call = self.host.post(path).bearer(&self.admin.token);
        call.json(&with(json!({"type": action}), body.clone()))
    }

    fn get(&self, id: &str, what: &str) -> Call {
        let path = format!("{SUBSCRIPTIONS}/{id}{what}");
        self.host.get(path).bearer(&self.owner.token)
    }

    async fn shown(&self, id: &str) -> Value {
        self.get(id, "").send().await.expect(200).json()
    }

    /// The lines of a subscription, oldest first: charge, amount, share and what it is of.
    async fn lines(&self, id: &str) -> Vec<String> {
        let listed = self
            .get(id, "/adjustments?limit=100")
            .send()
            .await
            .expect(200);
        let mut lines: Vec<String> = listed.json()["adjustments"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|adjustment| shown_line(&adjustment["line"]))
            .collect();
        lines.reverse();
        lines
    }
}

fn shown_line(line: &Value) -> String {
    let text = |pointer: &str| {
        line.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!(
        "{} {} {}/{}",
        text("/charge"),
        text("/amount/amount"),
        line["share"],
        line["share_of"]
    )
}

fn with(mut body: Value, others: Value) -> Value {
    if let (Some(body), Value::Object(others)) = (body.as_object_mut(), others) {
        body.extend(others);
    }
    body
}

fn flat(code: &str, amount: &str) -> Value {
    json!({
        "code": code, "name": code, "billing": "advance",
        "model": {"type": "flat", "amount": amount},
    })
}

fn seats(price: &str) -> Value {
    json!({
        "code": "seats", "name": "Seats", "metric": "seats", "billing": "advance",
        "model": {"type": "per_unit", "unit_price": price},
    })
}

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
        [id.clone()]
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

/// The actions of a subscription's versions, oldest first, and when each happened.
async fn history(desk: &Desk<'_>, id: &str) -> Vec<String> {
    let listed = desk
        .get(id, "/changes?limit=100")
        .send()
        .await
        .expect(200)
        .json();
    let changes = listed["changes"].as_array().cloned().unwrap_or_default();
    let text = |change: &Value, name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let mut history: Vec<String> = changes
        .iter()
        .map(|change| {
            format!(
                "{} {}",
                &text(change, "happened_at")[..10],
                text(change, "action")
            )
        })
        .collect();
    history.reverse();
    history
}

async fn time_does_what_is_due_in_order(host: &TestHost) {
    let desk = Desk::at(host, "2025-12-01T00:00:00Z").await;
    let plan = desk.plan("USD", json!([seats("10")])).await;
    let others = json!({"starts_at": "2026-01-01T00:00:00Z", "trial_days": 31});
    let id = desk.create(&plan, others).await;
    assert_eq!(desk.shown(&id).await["status"], "scheduled");
    desk.clock("2026-01-10T00:00:00Z").await;
    desk.act(&id, "change", json!({"quantity": 2, "when": "period_end"}))
        .await;
    let waiting = desk
        .call(&id, "change", &json!({"quantity": 3}))
        .send()
        .await;
    waiting.expect_problem(409, "change_pending");
    let pending = desk.shown(&id).await["pending_change"].clone();
    assert_eq!(pending["quantity"], 2);
    // The trial ends with the period, and the change comes with the next one.
    desk.clock("2026-02-01T00:00:00Z").await;
    assert_eq!(desk.lines(&id).await, ["seats 20.00 28/28"]);
    desk.act(&id, "pause", json!({"resumes_at": "2026-02-15T00:00:00Z"}))
        .await;
    // Months at once: everything in its order.
    let date = json!({"when": "date", "at": "2026-04-10T00:00:00Z", "credit": "unused"});
    desk.act(&id, "cancel", date).await;
    desk.clock("2027-01-01T00:00:00Z").await;
    assert_eq!(
        history(&desk, &id).await,
        [
            "2025-12-01 created",
            "2026-01-01 started",
            "2026-01-10 change_scheduled",
            "2026-02-01 renewed",
            "2026-02-01 trial_ended",
            "2026-02-01 paused",
            "2026-02-01 cancel_scheduled",
            "2026-02-15 unpaused",
            "2026-03-01 renewed",
            "2026-04-01 renewed",
            "2026-04-10 canceled",
        ]
    );
    assert_eq!(
        desk.lines(&id).await,
        [
            "seats 20.00 28/28",
            "seats -19.29 27/28",
            "seats 10.00 14/28",
            "seats 20.00 31/31",
            "seats 20.00 30/30",
            "seats -13.33 20/30",
        ]
    );
    let ended = desk.shown(&id).await;
    assert_eq!(ended["ended_at"], "2026-04-10T00:00:00.000000Z");
    // What is withdrawn does not happen.
    let id = desk.create(&plan, json!({"trial_days": 0})).await;
    desk.act(&id, "cancel", json!({"when": "period_end"})).await;
    desk.act(&id, "change", json!({"quantity": 2, "when": "period_end"}))
        .await;
    desk.act(&id, "resume", json!({})).await;
    desk.clock("2027-02-02T00:00:00Z").await;
    let shown = desk.shown(&id).await;
    assert_eq!(
        (&shown["status"], &shown["quantity"]),
        (&json!("active"), &json!(1))
    );
    assert_eq!(shown["period"]["index"], 1);
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

async fn a_second_trial_is_refused(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.team().await;
    let trial = || desk.create_call(&plan, json!({"trial_days": 14}));
    let at_once = join_all((0..4).map(|_| {
        let call = trial();
        async move { call.settle().await }
    }))
    .await;
    let made = at_once.iter().filter(|response| response.status == 201);
    assert_eq!(made.count(), 1, "of trials at once one is made");
    for response in at_once
        .into_iter()
        .filter(|response| response.status != 201)
    {
        response.expect_problem(409, "trial_used");
    }
    trial().send().await.expect_problem(409, "trial_used");
    desk.create(&plan, json!({"trial_days": 0})).await;
    // Whose trial it was stays so, whatever plan the subscription has by now.
    let [first, second] = [desk.team().await, desk.team().await];
    let id = desk.create(&first, json!({"trial_days": 14})).await;
    desk.act(&id, "change", json!({"plan": second})).await;
    desk.act(&id, "cancel", json!({"when": "now"})).await;
    let again = desk.create_call(&first, json!({"trial_days": 14}));
    again.send().await.expect_problem(409, "trial_used");
    desk.create(&second, json!({"trial_days": 14})).await;
}

async fn a_change_is_to_a_plan_for_the_same_time(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let monthly = desk.plan("USD", json!([flat("base", "30")])).await;
    let yearly = format!("p{}", unique());
    let plan = json!({
        "code": yearly, "name": "Plan", "currency": "USD", "billing_period": "year",
    });
    let call = host.post("/api/v1/plans").bearer(&desk.admin.token);
    call.json(&plan).send().await.expect(201);
    desk.version(&yearly, json!([flat("base", "300")])).await;
    for (from, to) in [(&monthly, &yearly), (&yearly, &monthly)] {
        let id = desk.create(from, json!({})).await;
        for when in ["now", "period_end"] {
            let call = desk.call(&id, "change", &json!({"plan": to, "when": when}));
            refuse(host, call, 422, "invalid_fields", &["plan"]).await;
        }
    }
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

/// In Greenland clocks skip the hour before midnight of 28 March 2027.
async fn a_skipped_boundary_costs_no_day(host: &TestHost) {
    let desk = Desk::at(host, "2027-02-28T01:30:00Z").await;
    host.execute("UPDATE billing_accounts SET time_zone = 'America/Nuuk'")
        .await;
    let plan = desk.plan("USD", json!([flat("base", "310")])).await;
    let id = desk.create(&plan, json!({})).await;
    desk.clock("2027-04-01T00:00:00Z").await;
    assert_eq!(
        desk.lines(&id).await,
        ["base 310.00 28/28", "base 310.00 31/31"]
    );
}

async fn the_job_lets_time_pass(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    host.execute("UPDATE billing_accounts SET is_test = false, test_clock_at = NULL")
        .await;
    let plan = desk.plan("USD", json!([flat("base", "30")])).await;
    let daily = json!({"billing": {"unit": "day"}});
    let late = desk.create(&plan, daily.clone()).await;
    let current = desk.create(&plan, daily).await;
    twenty_days_pass(host, &late).await;
    let call = host.post(format!("{SUBSCRIPTIONS}/advance"));
    let call = call.bearer(&desk.admin.token);
    for (advanced, is_complete) in [(2, true), (0, true)] {
        let done = call.send().await.expect(200).json();
        let expected = json!({"advanced": advanced, "failed": 0, "is_complete": is_complete});
        assert_eq!(done, expected);
    }
    assert_eq!(desk.shown(&late).await["period"]["index"], 20);
    assert_eq!(desk.lines(&late).await.len(), 21, "each period once");
    assert_eq!(desk.shown(&current).await["period"]["index"], 0);
    // Whoever asks for something takes time in first, and a preview cannot.
    twenty_days_pass(host, &current).await;
    let change = json!({"price_overrides": [
        {"charge": "base", "price": {"amount": "60", "currency": "USD"}}]});
    let previewed = desk
        .preview_call(&current, "change", &change)
        .send_once()
        .await;
    previewed.expect_problem(409, "subscription_behind");
    let changed = desk
        .call(&current, "change", &change)
        .send()
        .await
        .expect(200);
    assert_eq!(changed.text_at("/total/amount"), "30.00", "{changed}");
    assert_eq!(changed.json()["subscription"]["version"], 22, "{changed}");
    assert_eq!(desk.lines(&current).await.len(), 23);
    let call = host.post(format!("{SUBSCRIPTIONS}/advance"));
    let call = call.bearer(&desk.owner.token);
    refuse(host, call, 403, "forbidden", &[]).await;
}

async fn what_cannot_be_advanced_stops_no_other(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    host.execute("UPDATE billing_accounts SET is_test = false, test_clock_at = NULL")
        .await;
    let plan = desk.plan("USD", json!([flat("base", "30")])).await;
    let daily = json!({"billing": {"unit": "day"}});
    let broken = desk.create(&plan, daily.clone()).await;
    let sound = desk.create(&plan, daily).await;
    for id in [&broken, &sound] {
        twenty_days_pass(host, id).await;
    }
    let set = async |change: &str| {
        let id = uuid_of(&broken);
        host.execute(&format!(
            "UPDATE subscriptions SET {change} WHERE id = '{id}'"
        ))
        .await;
    };
    set(r#"price_overrides = '[{"charge": "gone", "price": {"amount": "1", "currency": "USD"}}]'"#)
        .await;
    let call = host.post(format!("{SUBSCRIPTIONS}/advance"));
    let call = call.bearer(&desk.admin.token);
    // It is tried once, and then passed over.
    for failed in [1, 0] {
        let done = call.send().await.expect(200).json();
        assert_eq!(done["failed"], failed, "{done}");
        assert_eq!(done["is_complete"], true, "{done}");
    }
    assert_eq!(desk.shown(&sound).await["period"]["index"], 20);
    assert_eq!(desk.shown(&broken).await["period"]["index"], 0);
    // An hour later it is mended.
    set("price_overrides = '[]', set_aside_until = set_aside_until - interval '1 hour'").await;
    call.send().await.expect(200);
    assert_eq!(desk.shown(&broken).await["period"]["index"], 20);
}

async fn there_are_so_many(host: &TestHost) {
    let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
    let plan = desk.plan("USD", json!([flat("base", "100")])).await;
    let first = desk.create(&plan, json!({})).await;
    let calls: Vec<Call> = (0..102)
        .map(|_| desk.create_call(&plan, json!({})))
        .collect();
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 99, "the hundredth is the last");
    let body = json!({"account_id": desk.account, "plan": plan});
    let call = host.post(format!("{SUBSCRIPTIONS}/preview"));
    let call = call.bearer(&desk.admin.token).json(&body);
    refuse(host, call, 409, "subscription_limit", &[]).await;
    desk.act(&first, "cancel", json!({"when": "now"})).await;
    desk.create(&plan, json!({})).await;
}

async fn the_first_decides_the_currency(host: &TestHost) {
    let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
    let mut plans = Vec::new();
    for currency in ["USD", "EUR", "JPY", "GBP"] {
        plans.push(desk.plan(currency, json!([flat("base", "100")])).await);
    }
    let calls = plans.iter().map(|plan| desk.create_call(plan, json!({})));
    let calls: Vec<Call> = calls.collect();
    let answers = join_all(calls.iter().map(Call::settle)).await;
    let (made, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1, "an account is billed in one currency");
    for answer in refused {
        answer.expect_fields(422, "invalid_fields", &["plan"]);
    }
    let path = format!("/api/v1/accounts/{}", desk.account);
    let account = host.get(path).bearer(&desk.owner.token);
    let account = account.send().await.expect(200).json();
    assert_eq!(
        account["currency"],
        made[0].json()["subscription"]["currency"]
    );
}

/// As if nobody had looked at a subscription by the day for twenty days.
async fn twenty_days_pass(host: &TestHost, id: &str) {
    host.execute(&format!(
        "UPDATE subscriptions
            SET starts_at = starts_at - interval '480 hours', anchor_at = anchor_at - interval '480 hours',
                period_started_at = period_started_at - interval '480 hours',
                period_ends_at = period_ends_at - interval '480 hours'
          WHERE id = '{}'",
        uuid_of(id)
    ))
    .await;
}

fn uuid_of(id: &str) -> &str {
    id.trim_start_matches("sub_")
}

/// A random walk: of what can be asked, in whatever status, with time that passes. What a preview
/// says is what then happens, and the lines of each period are what its terms cost over time.
async fn a_preview_is_what_then_happens(host: &TestHost) {
    let mut random = Random::seeded("subscriptions");
    for proration in ["day", "second", "fixed_30"] {
        let desk = Desk::at(host, "2026-01-31T00:00:00Z").await;
        let plan = desk.team().await;
        let id = desk
            .create(&plan, json!({"proration": proration, "trial_days": 3}))
            .await;
        let mut day = 31_i64;
        for _ in 0..30 {
            day += i64::try_from(random.below(9)).unwrap_or(0);
            let now = day_of_year(day);
            desk.clock(&now).await;
            let later = day_of_year(day + 5);
            let candidates = [
                ("change", json!({"quantity": 1 + random.below(20)})),
                (
                    "change",
                    json!({"quantity": 1 + random.below(20), "when": "period_end"}),
                ),
                (
                    "change",
                    json!({"price_overrides": [
                    {"charge": "seats", "price": {"amount": "12.34", "currency": "USD"}}]}),
                ),
                (
                    "cancel",
                    json!({"when": "date", "at": later, "credit": "unused"}),
                ),
                ("resume", json!({})),
                ("pause", json!({})),
                ("unpause", json!({})),
            ];
            let index = usize::try_from(random.below(7)).unwrap_or(0);
            let (action, body) = candidates[index].clone();
            let previewed = desk.preview_call(&id, action, &body).send().await;
            let done = desk.call(&id, action, &body).send().await;
            assert_eq!(previewed.status, done.status, "{previewed}\n{done}");
            if done.status == 200 {
                assert_eq!(previewed.json(), done.json(), "{action} {body}");
            }
        }
        replayed(&desk, &id).await;
        if proration == "day" {
            days_cost_what_their_terms_do(&desk, &id).await;
        }
    }
}

/// What each day of a period costs, in parts of the price of the period.
struct Days {
    index: i64,
    first: Date,
    prices: Vec<Decimal>,
}

impl Days {
    fn of(period: &Value) -> Self {
        let [first, end] = ["started_at", "ends_at"].map(|name| date_of(&period[name]));
        let count = usize::try_from((end - first).get_days()).unwrap_or(0);
        Self {
            index: period["index"].as_i64().unwrap_or_default(),
            first,
            prices: vec![Decimal::ZERO; count],
        }
    }

    /// From a day on, each costs its part of a price.
    fn cost_from(&mut self, day: Date, price: Decimal) {
        let past = usize::try_from((day - self.first).get_days()).unwrap_or(0);
        self.prices
            .iter_mut()
            .skip(past)
            .for_each(|day| *day = price);
    }

    fn cost(&self) -> Decimal {
        self.prices.iter().sum::<Decimal>() / Decimal::from(self.prices.len())
    }
}

fn date_of(time: &Value) -> Date {
    let text = time.as_str().unwrap_or_default();
    text[..10].parse().expect("a time begins with its date")
}

/// The lines of each period sum to what its days cost one by one, as the versions say it, but for
/// the cent to which each line is rounded.
async fn days_cost_what_their_terms_do(desk: &Desk<'_>, id: &str) {
    let id = uuid_of(id);
    let rows = desk
        .host
        .query(&format!(
            "SELECT action, to_jsonb(happened_at)::text, state::text FROM subscription_versions
              WHERE subscription_id = '{id}' ORDER BY version"
        ))
        .await;
    let mut periods: Vec<Days> = Vec::new();
    let mut paused_on = None;
    for row in rows {
        let [at, state] = [1, 2].map(|column| {
            serde_json::from_str::<Value>(row.get(column)).expect("the database writes JSON")
        });
        if periods.last().map(|days| days.index) != state["period"]["index"].as_i64() {
            periods.push(Days::of(&state["period"]));
        }
        let days = periods.last_mut().expect("there is a period");
        let (today, tomorrow) = (date_of(&at), date_of(&at) + Span::new().days(1));
        let seat = state["price_overrides"].pointer("/0/price/amount");
        let seat = decimal(seat.and_then(Value::as_str).unwrap_or("10"));
        let quantity = Decimal::from(state["quantity"].as_i64().unwrap_or_default());
        let price = Decimal::from(100) + quantity * seat;
        match row.get::<_, &str>(0) {
            "paused" => {
                days.cost_from(tomorrow, Decimal::ZERO);
                paused_on = Some(today);
            }
            "canceled" => days.cost_from(tomorrow, Decimal::ZERO),
            "unpaused" => {
                let is_paid = paused_on == Some(today);
                days.cost_from(if is_paid { tomorrow } else { today }, price);
            }
            _ if state["status"] == "active" => days.cost_from(today, price),
            _ => {}
        }
    }
    for days in periods {
        let rows = desk
            .host
            .query(&format!(
                "SELECT coalesce(sum(amount), 0)::text, count(*) FROM subscription_adjustments
                  WHERE subscription_id = '{id}' AND period_index = {}",
                days.index
            ))
            .await;
        let (sum, count): (String, i64) = (rows[0].get(0), rows[0].get(1));
        let difference = (decimal(&sum) - days.cost()).abs();
        let bound = Decimal::new(count + 1, 2);
        assert!(
            difference <= bound,
            "{sum} of period {} of {id}, which costs {}",
            days.index,
            days.cost()
        );
    }
}

/// The first moment of the day so many days after the end of 2025.
fn day_of_year(day: i64) -> String {
    let date = jiff::civil::date(2026, 1, 1) + Span::new().days(day - 1);
    format!("{date}T00:00:00Z")
}

/// Versions are numbered without gaps, and the last of them is the subscription.
async fn replayed(desk: &Desk<'_>, id: &str) {
    let rows = desk
        .host
        .query(&format!(
            "SELECT count(*) = max(version) AND min(version) = 1, max(version) = (
                        SELECT version FROM subscriptions WHERE id = '{id}'),
                    bool_and(state = (SELECT plan_subscription_json(s)::jsonb FROM subscriptions s WHERE s.id = '{id}'))
                        FILTER (WHERE version = (SELECT version FROM subscriptions WHERE id = '{id}'))
               FROM subscription_versions WHERE subscription_id = '{id}'",
            id = uuid_of(id)
        ))
        .await;
    for column in 0..3 {
        assert!(rows[0].get::<_, bool>(column), "column {column} of {id}");
    }
}

async fn of_changes_at_once_each_is_one_version(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.plan("USD", json!([seats("10")])).await;
    let id = desk.create(&plan, json!({})).await;
    desk.clock("2026-04-16T00:00:00Z").await;
    let calls = (0..64).map(|index| {
        let call = desk.call(&id, "change", &json!({"quantity": 100 + index}));
        async move { call.settle().await.expect(200) }
    });
    let responses: Vec<Response> = join_all(calls).await;
    let mut versions: Vec<u64> = responses
        .iter()
        .filter_map(|response| response.json()["subscription"]["version"].as_u64())
        .collect();
    versions.sort_unstable();
    assert_eq!(
        versions,
        (2..=65).collect::<Vec<u64>>(),
        "one order, and none is lost"
    );
    replayed(&desk, &id).await;
    // Each gives back what the one before it owes, so that the sum is that of the last.
    let rows = host
        .query(&format!(
            "SELECT sum(amount)::text, (SELECT quantity FROM subscriptions WHERE id = '{id}')
               FROM subscription_adjustments WHERE subscription_id = '{id}'",
            id = uuid_of(&id)
        ))
        .await;
    let (sum, quantity): (String, i32) = (rows[0].get(0), rows[0].get(1));
    let of_last = Decimal::from(10) / Decimal::from(2) + Decimal::from(quantity) * Decimal::from(5);
    assert_eq!(decimal(&sum), of_last);
}

/// Of what can be done once, one of many at once does it, whatever else is asked meanwhile.
async fn of_what_can_be_done_once_one_does_it(host: &TestHost) {
    let desk = Desk::at(host, "2026-04-01T00:00:00Z").await;
    let plan = desk.team().await;
    let id = desk.create(&plan, json!({})).await;
    for (action, body) in [
        ("pause", json!({})),
        ("unpause", json!({})),
        ("cancel", json!({"when": "now", "credit": "full"})),
    ] {
        let calls = (0..24).map(|index| {
            let call = match index % 3 {
                0 => desk.call(&id, "change", &json!({"quantity": 1 + index})),
                _ => desk.call(&id, action, &body),
            };
            async move { (index % 3, call.settle().await) }
        });
        let mut done = 0;
        for (kind, response) in join_all(calls).await {
            match (kind, response.status) {
                (0, 200) => {}
                (_, 200) => done += 1,
                _ => {
                    response.expect_problem(409, "action_not_allowed");
                }
            }
        }
        assert_eq!(done, 1, "{action}");
        replayed(&desk, &id).await;
    }
    // All that was billed is given back.
    let rows = host
        .query(&format!(
            "SELECT sum(amount)::text FROM subscription_adjustments WHERE subscription_id = '{}'",
            uuid_of(&id)
        ))
        .await;
    assert_eq!(decimal(rows[0].get(0)), Decimal::ZERO);
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
