//! What time does by itself, through the job and the clock of an account.

use serde_json::{Value, json};
use turnpike_tests::{TestHost, api_tests};

use super::SUBSCRIPTIONS;
use super::desk::{Desk, flat, seats, twenty_days_pass, uuid_of};
use crate::refusals::refuse;

api_tests![
    time_does_what_is_due_in_order,
    the_job_lets_time_pass,
    what_cannot_be_advanced_stops_no_other,
    a_skipped_boundary_costs_no_day,
];

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
