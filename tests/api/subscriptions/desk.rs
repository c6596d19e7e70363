//! Who manages subscriptions, and what a test reads of them.

use serde_json::{Value, json};
use shared::ids::OrganizationId;
use turnpike_tests::personas::{fresh_key, unique};
use turnpike_tests::{Call, TestHost, User};

use super::SUBSCRIPTIONS;

/// An account in test mode whose clock shows a time, and who manages subscriptions.
pub struct Desk<'a> {
    pub host: &'a TestHost,
    pub admin: User,
    pub owner: User,
    pub organization: OrganizationId,
    pub account: String,
}

impl<'a> Desk<'a> {
    /// The clock can be set back here, as long as there is no subscription.
    pub async fn at(host: &'a TestHost, clock: &str) -> Self {
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
    pub async fn clock(&self, to: &str) {
        let path = format!("/api/v1/accounts/{}/test-clock", self.account);
        let call = self.host.post(path).bearer(&self.admin.token);
        let moved = call.json(&json!({"to": to})).send().await.expect(200);
        assert_eq!(moved.json()["is_complete"], true, "{moved}");
        assert_eq!(moved.json()["failed"], 0, "{moved}");
    }

    /// A plan by the month, with a version of these charges; returns its code.
    pub async fn plan(&self, currency: &str, charges: Value) -> String {
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
    pub async fn version(&self, plan: &str, charges: Value) {
        let path = format!("/api/v1/plans/{plan}/versions");
        let call = self.host.post(path).bearer(&self.admin.token);
        let terms = json!({"charges": charges});
        call.json(&terms).send().await.expect(201);
    }

    /// A plan of 100 for all and 10 for each seat.
    pub async fn team(&self) -> String {
        let tokens = json!({
            "code": "tokens", "name": "Tokens", "metric": "tokens",
            "model": {"type": "per_unit", "unit_price": "0.01"},
        });
        self.plan("USD", json!([flat("base", "100"), seats("10"), tokens]))
            .await
    }

    pub fn create_call(&self, plan: &str, others: Value) -> Call {
        let body = with(json!({"account_id": self.account, "plan": plan}), others);
        let call = self.host.post(SUBSCRIPTIONS).bearer(&self.admin.token);
        call.idempotency_key(&fresh_key()).json(&body)
    }

    /// Makes a subscription; returns its id.
    pub async fn create(&self, plan: &str, others: Value) -> String {
        let made = self.create_call(plan, others).send().await.expect(201);
        made.text_at("/subscription/id")
    }

    pub fn call(&self, id: &str, action: &str, body: &Value) -> Call {
        let path = format!("{SUBSCRIPTIONS}/{id}/{action}");
        let call = self.host.post(path).bearer(&self.admin.token);
        let call = call.idempotency_key(&fresh_key());
        match action {
            "resume" | "unpause" => call,
            _ => call.json(body),
        }
    }

    pub async fn act(&self, id: &str, action: &str, body: Value) -> Value {
        let response = self.call(id, action, &body).settle().await.expect(200);
        response.json()
    }

    pub fn preview_call(&self, id: &str, action: &str, body: &Value) -> Call {
        let path = format!("{SUBSCRIPTIONS}/{id}/preview");
        let call = self.host.post(path).bearer(&self.admin.token);
        call.json(&with(json!({"type": action}), body.clone()))
    }

    pub fn get(&self, id: &str, what: &str) -> Call {
        let path = format!("{SUBSCRIPTIONS}/{id}{what}");
        self.host.get(path).bearer(&self.owner.token)
    }

    pub async fn shown(&self, id: &str) -> Value {
        self.get(id, "").send().await.expect(200).json()
    }

    /// The lines of a subscription, oldest first: charge, amount, share and what it is of.
    pub async fn lines(&self, id: &str) -> Vec<String> {
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

pub fn shown_line(line: &Value) -> String {
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

pub fn with(mut body: Value, others: Value) -> Value {
    if let (Some(body), Value::Object(others)) = (body.as_object_mut(), others) {
        body.extend(others);
    }
    body
}

pub fn flat(code: &str, amount: &str) -> Value {
    json!({
        "code": code, "name": code, "billing": "advance",
        "model": {"type": "flat", "amount": amount},
    })
}

pub fn seats(price: &str) -> Value {
    json!({
        "code": "seats", "name": "Seats", "metric": "seats", "billing": "advance",
        "model": {"type": "per_unit", "unit_price": price},
    })
}

/// As if nobody had looked at a subscription by the day for twenty days.
pub async fn twenty_days_pass(host: &TestHost, id: &str) {
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

pub fn uuid_of(id: &str) -> &str {
    id.trim_start_matches("sub_")
}
