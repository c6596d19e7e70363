//! An authenticator app, as far as the API can tell.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use shared::auth::totp::{self, Digits, STEP_SECS};
use turnpike_tests::personas::TOTP;
use turnpike_tests::{Call, Response, TestHost};

/// What an authenticator keeps of one enrolment.
pub struct Authenticator {
    secret: Vec<u8>,
    /// The code that confirmed the enrolment. The one of now may be another by now.
    pub confirming_code: String,
}

impl Authenticator {
    /// Enrols for the user of the session, and confirms nothing.
    pub async fn enrol(host: &TestHost, token: &str) -> Self {
        Self::of(&host.post(TOTP).bearer(token).send().await.expect(201))
    }

    /// What an answer lets an authenticator know, which is shown once.
    pub fn of(response: &Response) -> Self {
        let secret = response.text_at("/secret");
        let uri = response.text_at("/uri");
        if !uri.contains(&format!("secret={secret}&")) {
            response.fail("the URI must hold the secret");
        }
        Self {
            secret: base32(&secret),
            confirming_code: String::new(),
        }
    }

    /// Enrols and turns the second factor on; returns the recovery codes, too.
    pub async fn turn_on(host: &TestHost, token: &str) -> (Self, Vec<String>) {
        let mut authenticator = Self::enrol(host, token).await;
        authenticator.confirming_code = authenticator.code();
        let response = confirm_call(host, token, &authenticator.confirming_code)
            .send()
            .await;
        let codes = recovery_codes(&response.expect(200));
        (authenticator, codes)
    }

    /// The code that is shown now.
    pub fn code(&self) -> String {
        self.code_in(0)
    }

    /// The code that is shown so many steps later. The next one is accepted already.
    pub fn code_in(&self, steps: u64) -> String {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_secs = clock.map_or(0, |elapsed| elapsed.as_secs());
        totp::totp(&self.secret, now_secs + steps * STEP_SECS, Digits::Six)
    }

    /// A code that is wrong now and for the next minutes.
    pub fn wrong_code(&self) -> String {
        let right: Vec<String> = (0..10).map(|steps| self.code_in(steps)).collect();
        let mut codes = (0..).map(|number| format!("{number:06}"));
        codes.find(|code| !right.contains(code)).unwrap_or_default()
    }
}

/// A first code on its way.
pub fn confirm_call(host: &TestHost, token: &str, code: &str) -> Call {
    host.post(format!("{TOTP}/confirm"))
        .bearer(token)
        .json(&json!({"code": code}))
}

/// The recovery codes that are shown once.
pub fn recovery_codes(response: &Response) -> Vec<String> {
    let codes = response.json()["recovery_codes"].clone();
    serde_json::from_value(codes).unwrap_or_else(|_| response.fail("there must be recovery codes"))
}

/// Lets the code that was used last be used again, instead of waiting for the next.
pub async fn forget_last_step(host: &TestHost) {
    host.execute("UPDATE totp_enrolments SET last_step = 0")
        .await;
}

/// Reads base32 (RFC 4648, section 6) without padding.
fn base32(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for symbol in text.bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'2'..=b'7' => symbol - b'2' + 26,
            _ => panic!("{text:?} is not base32"),
        };
        bits = (bits << 5 | u32::from(value)) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
