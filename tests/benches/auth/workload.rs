//! The requests that are sent.

use serde_json::json;

use crate::fixtures::{Fixtures, PASSWORD};
use crate::load::workload::{Template, Workload};

/// Turnpike's own Argon2id parameters, as tests/components/bare-hash calls them.
pub const OWN_PARAMETERS: &str = "m7168-t5-p1";

/// OWASP's choice for little memory and its first one.
pub const PARAMETERS: [&str; 2] = [OWN_PARAMETERS, "m19456-t2-p1"];

/// A gateway asks about each of its tokens in turn.
pub fn introspections(fixtures: &Fixtures) -> Workload {
    let requests = fixtures.subjects.iter().map(|token| {
        Template::post(
            "/api/v1/auth/introspect",
            Some(&fixtures.gateway),
            "application/x-www-form-urlencoded",
            &format!("token={token}"),
        )
    });
    Workload {
        requests: requests.collect(),
    }
}

/// Users sign in, each in turn.
pub fn logins(fixtures: &Fixtures) -> Workload {
    let requests = fixtures.emails.iter().map(|email| login(email, PASSWORD));
    Workload {
        requests: requests.collect(),
    }
}

/// One sign-in.
pub fn login(email: &str, password: &str) -> Template {
    let body = json!({"email": email, "password": password}).to_string();
    Template::post("/api/v1/auth/login", None, "application/json", &body)
}

/// Verifications of one hash with the given parameters, and nothing else.
pub fn bare_hashes(parameters: &str) -> Workload {
    let target = format!("/bare-hash/{parameters}");
    Workload {
        requests: vec![Template::post(&target, None, "application/json", "{}")],
    }
}
