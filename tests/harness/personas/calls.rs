//! What people send, request by request.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use shared::ids::UserId;

use super::{
    API_KEYS, BALANCE, CONSUME, GRANTS, HOLDS, INTROSPECT, LOGIN, PASSWORD_CHANGE, REFRESH,
    REFUNDS, SIGNUP, TOKEN, User, available, fresh_key,
};
use crate::api::{Api, Call};

/// The body with more fields.
fn with_fields(mut body: Value, more: Value) -> Value {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

impl Api {
    /// A sign-up.
    pub fn signup_call(&self, email: &str, password: &str) -> Call {
        self.post(SIGNUP)
            .json(&json!({"email": email, "password": password}))
    }

    /// A sign-in.
    pub fn login_call(&self, email: &str, password: &str) -> Call {
        self.post(LOGIN)
            .json(&json!({"email": email, "password": password}))
    }

    /// A spend with a key of its own.
    pub fn consume_call(&self, user: &User, amount: &str) -> Call {
        self.consume_call_with_key(user, amount, &fresh_key())
    }

    /// A spend.
    pub fn consume_call_with_key(&self, user: &User, amount: &str, key: &str) -> Call {
        self.consume_with_call(user, amount, json!({}), key)
    }

    /// A spend with more fields, such as `service` and `model`.
    pub fn consume_with_call(&self, user: &User, amount: &str, more: Value, key: &str) -> Call {
        let body = with_fields(json!({"amount": amount, "currency": "USD"}), more);
        self.post(CONSUME)
            .bearer(&user.token)
            .idempotency_key(key)
            .json(&body)
    }

    /// A gift with a key of its own.
    pub fn grant_call(&self, admin: &User, to: UserId, amount: &str, currency: &str) -> Call {
        self.post(GRANTS)
            .bearer(&admin.token)
            .idempotency_key(&fresh_key())
            .json(&json!({"user_id": to, "amount": amount, "currency": currency}))
    }

    /// A gift on terms, with a key of its own.
    pub fn grant_with_call(&self, admin: &User, to: &User, amount: &str, terms: Value) -> Call {
        let body = json!({"user_id": to.id, "amount": amount, "currency": "USD"});
        let body = with_fields(body, terms);
        self.post(GRANTS)
            .bearer(&admin.token)
            .idempotency_key(&fresh_key())
            .json(&body)
    }

    /// A request to take back what is left of a grant.
    pub fn void_call(&self, admin: &User, grant_id: &str, key: &str) -> Call {
        self.post(format!("{GRANTS}/{grant_id}/void"))
            .bearer(&admin.token)
            .idempotency_key(key)
    }

    /// A refund of an amount, or of all that is left to refund.
    pub fn refund_call(
        &self,
        admin: &User,
        transaction_id: &str,
        amount: Option<&str>,
        key: &str,
    ) -> Call {
        let mut body = json!({"transaction_id": transaction_id});
        if let Some(amount) = amount {
            body["amount"] = json!(amount);
            body["currency"] = json!("USD");
        }
        self.post(REFUNDS)
            .bearer(&admin.token)
            .idempotency_key(key)
            .json(&body)
    }

    /// A reservation.
    pub fn hold_call(&self, user: &User, amount: &str, ttl_secs: i32, key: &str) -> Call {
        self.post(HOLDS)
            .bearer(&user.token)
            .idempotency_key(key)
            .json(&json!({"amount": amount, "currency": "USD", "ttl_secs": ttl_secs}))
    }

    /// A reservation with more fields, such as `service` and `model`.
    pub fn hold_with_call(&self, user: &User, amount: &str, more: Value, key: &str) -> Call {
        let body = with_fields(json!({"amount": amount, "currency": "USD"}), more);
        self.post(HOLDS)
            .bearer(&user.token)
            .idempotency_key(key)
            .json(&body)
    }

    /// A capture of what a held operation cost.
    pub fn capture_call(&self, user: &User, hold_id: &str, amount: &str, key: &str) -> Call {
        self.post(format!("{HOLDS}/{hold_id}/capture"))
            .bearer(&user.token)
            .idempotency_key(key)
            .json(&json!({"amount": amount, "currency": "USD"}))
    }

    /// A release of a hold.
    pub fn release_call(&self, user: &User, hold_id: &str, key: &str) -> Call {
        self.post(format!("{HOLDS}/{hold_id}/release"))
            .bearer(&user.token)
            .idempotency_key(key)
    }

    /// Gives US dollars on terms, which must succeed; returns the grant's id.
    pub async fn grant_with(&self, admin: &User, to: &User, amount: &str, terms: Value) -> String {
        let call = self.grant_with_call(admin, to, amount, terms);
        call.settle().await.expect(201).text_at("/grant/id")
    }

    /// Reserves US dollars, which must succeed; returns the hold's id.
    pub async fn hold(&self, user: &User, amount: &str, ttl_secs: i32) -> String {
        let call = self.hold_call(user, amount, ttl_secs, &fresh_key());
        call.settle().await.expect(201).text_at("/hold/id")
    }

    /// What is left of the user's grants of US dollars, oldest first.
    pub async fn grants_left(&self, user: &User) -> Vec<String> {
        let call = self.get(format!("{GRANTS}?currency=USD"));
        let call = call.bearer(&user.token);
        let answer = call.settle().await.expect(200).json();
        let grants = answer["grants"].as_array().cloned().unwrap_or_default();
        let left = |grant: &Value| grant["remaining"]["amount"].as_str().map(str::to_owned);
        grants.iter().rev().filter_map(left).collect()
    }

    /// A request for an API key.
    pub fn api_key_call(&self, user: &User, body: &Value) -> Call {
        self.post(API_KEYS).bearer(&user.token).json(body)
    }

    /// A use of a refresh token.
    pub fn refresh_call(&self, refresh_token: &str) -> Call {
        self.post(REFRESH)
            .json(&json!({"refresh_token": refresh_token}))
    }

    /// A question for what `token` stands for.
    pub fn introspect_call(&self, caller_token: &str, token: &str) -> Call {
        self.post(INTROSPECT)
            .bearer(caller_token)
            .form(&format!("token={token}"))
    }

    /// A request for a JWT.
    pub fn token_call(&self, token: &str, body: &Value) -> Call {
        self.post(TOKEN).bearer(token).json(body)
    }

    /// A JWT for a session's token or an API key, with all that it may say.
    pub async fn issue_jwt(&self, token: &str) -> String {
        let response = self.token_call(token, &json!({})).send().await.expect(200);
        response.text_at("/access_token")
    }

    /// A change of password.
    pub fn password_call(&self, token: &str, current: &str, new: &str) -> Call {
        self.put(PASSWORD_CHANGE)
            .bearer(token)
            .json(&json!({"current_password": current, "new_password": new}))
    }

    /// Spends US dollars, which must succeed; returns the transaction.
    pub async fn consume(&self, user: &User, amount: &str) -> Value {
        let response = self.consume_call(user, amount).settle().await.expect(201);
        response.json()["transaction"].clone()
    }

    /// Gives credits, which must succeed; returns the transaction.
    pub async fn grant(&self, admin: &User, user: &User, amount: &str, currency: &str) -> Value {
        let call = self.grant_call(admin, user.id, amount, currency);
        call.settle().await.expect(201).json()["transaction"].clone()
    }

    /// A question for the balance in US dollars.
    pub fn balance_call(&self, user: &User) -> Call {
        self.get(BALANCE).bearer(&user.token)
    }

    /// What is available in US dollars.
    pub async fn balance(&self, user: &User) -> Decimal {
        available(&self.balance_call(user).settle().await.expect(200))
    }
}
