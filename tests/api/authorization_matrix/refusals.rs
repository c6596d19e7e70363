//! What every operation refuses: callers without a credential that holds, methods that the route
//! does not have, and bodies that are no JSON of its form. A new operation has all of it with its
//! row; its own module has what only it refuses.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use turnpike_tests::description::{Description, template};
use turnpike_tests::personas::{LOGOUT, invented_token, sql_hash, sql_id};
use turnpike_tests::{Call, Response, TestHost, User};

use super::requests::prepare;
use super::row::{Body, JsonCheck, Row};
use super::twice::{self, Twice, members_twice};

/// The statuses with which a request may be refused here.
struct Refused<'a> {
    row: &'a Row,
    host: &'a TestHost,
    /// Everything that a request for money could have changed, and the rows of each table.
    before: (String, String),
}

impl<'a> Refused<'a> {
    async fn begin(host: &'a TestHost, row: &'a Row) -> Self {
        Self {
            row,
            host,
            before: (host.money_state().await, host.row_counts().await),
        }
    }

    /// Sends a request that must be refused.
    async fn expect(
        &self,
        what: &str,
        call: Call,
        status: u16,
        code: &str,
        fields: &[&str],
    ) -> Response {
        let response = call.send().await;
        let is_refused = response.status == status
            && (response.method == http::Method::HEAD
                || (response.json()["code"] == code && response.error_fields() == fields));
        if !is_refused {
            self.fail(&response, what, &format!("{status} {code} {fields:?}"));
        }
        response
    }

    fn fail(&self, response: &Response, what: &str, expected: &str) -> ! {
        let Row { method, route, .. } = self.row;
        response.fail(&format!(
            "{method} {route} with {what} must be answered {expected}: mend the component, or the \
             row in tests/api/authorization_matrix/rows.rs"
        ))
    }

    /// Fails if one of the refused requests has changed anything.
    async fn end(self) {
        let Row { method, route, .. } = self.row;
        let after = (self.host.money_state().await, self.host.row_counts().await);
        assert!(
            self.before == after,
            "{method} {route}: a refused request must change nothing, but the books went from\n{}\nto\n{}\n\
             and the rows of the tables from\n{}\nto\n{}",
            self.before.0,
            after.0,
            self.before.1,
            after.1
        );
    }
}

/// Sends an operation that needs a credential with everything that is none.
pub(super) async fn credentials(host: &TestHost, row: &Row, holder: &User) {
    let organization = host.organization_of(holder).await;
    let build = prepare(host, row, holder, organization).await.call();
    let token = host.issue_token(holder).await;
    let mut changed = token.clone();
    changed.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
    let stranger = shared::ids::UserId::new(1, &[1; shared::ids::RANDOM_BYTES]);
    let headers = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        "Basic YWRhOnNlY3JldA==".to_owned(),
        "Bearer garbage".to_owned(),
        "Bearer tpa_".to_owned(),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {token}A"),
        format!("Bearer {changed}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {}", token.replace("tpa_", "tpr_")),
        // Well formed, with a good checksum and an owner who exists, but never given out.
        format!("Bearer {}", invented_token(holder.id)),
        format!("Bearer {}", invented_token(stranger)),
        format!("Bearer {}", "a".repeat(4_000)),
    ];
    let [expired, logged_out] = [
        host.issue_token(holder).await,
        host.issue_token(holder).await,
    ];
    host.execute(&format!(
        "UPDATE access_tokens SET expires_at = now() - interval '1 second' WHERE digest = {}",
        sql_hash(&expired)
    ))
    .await;
    let logout = host.post(LOGOUT).bearer(&logged_out);
    logout.settle().await.expect(200);
    let disabled = host.new_user("disabled").await;
    host.execute(&format!(
        "UPDATE users SET disabled_at = now() WHERE id = {}",
        sql_id(disabled.id)
    ))
    .await;

    let refused = Refused::begin(host, row).await;
    // That a 401 has its challenge is a rule that every answer is held against.
    let strangers = [
        ("no credential", build.clone()),
        ("an expired token", build.clone().bearer(&expired)),
        (
            "the token of an ended session",
            build.clone().bearer(&logged_out),
        ),
        (
            "the token of somebody disabled",
            build.clone().bearer(&disabled.token),
        ),
    ];
    for (what, call) in strangers {
        refused
            .expect(what, call, 401, "unauthenticated", &[])
            .await;
    }
    for header in headers {
        let call = build.clone().header("authorization", &header);
        let what = format!("authorization: {header:?}");
        refused
            .expect(&what, call, 401, "unauthenticated", &[])
            .await;
    }
    let twice = build.clone().bearer(&token).bearer(&token);
    let not_ascii = build.header("authorization", format!("Bearer {token}é"));
    for (what, call) in [
        ("two credentials", twice),
        ("a credential that is not ASCII", not_ascii),
    ] {
        let fields = ["authorization"];
        refused
            .expect(what, call, 400, "invalid_parameter", &fields)
            .await;
    }
    refused.end().await;
}

/// Every method that a route does not have gets a 405 that lists those it has.
pub(super) async fn methods(host: &TestHost, row: &Row, allowed: &BTreeSet<String>, of: &User) {
    let organization = host.organization_of(of).await;
    let path = prepare(host, row, of, organization).await.bare.path();
    let refused = Refused::begin(host, row).await;
    for name in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW",
    ] {
        if allowed.contains(name) {
            continue;
        }
        let method = http::Method::from_bytes(name.as_bytes()).expect("the name is a token");
        let call = host.call(method, &*path);
        refused
            .expect(name, call.clone(), 405, "method_not_allowed", &[])
            .await;
        let response = call.send().await;
        let listed: BTreeSet<String> = response
            .header("allow")
            .unwrap_or_default()
            .split(", ")
            .map(str::to_owned)
            .collect();
        if listed != *allowed {
            refused.fail(&response, name, &format!("405 with Allow: {allowed:?}"));
        }
    }
    refused.end().await;
}

/// Sends an operation that reads JSON with everything that is none.
pub(super) async fn json_bodies(host: &TestHost, row: &Row, holder: &User) {
    let organization = host.organization_of(holder).await;
    let prepared = prepare(host, row, holder, organization).await;
    let valid = match &row.json {
        JsonCheck::OfBody => prepared.json().cloned(),
        JsonCheck::With(sample) => Some(sample.clone()),
        JsonCheck::Elsewhere => None,
    };
    let Some(valid) = valid else {
        return;
    };
    let mut bare = prepared.bare;
    if row.stranger == 401 {
        bare = bare.bearer(&host.issue_token(holder).await);
    }
    let refused = Refused::begin(host, row).await;
    let text = valid.to_string();
    for content_type in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/jsonx"),
        Some("application/x-www-form-urlencoded"),
        Some("application/problem+json"),
    ] {
        let mut call = bare.clone().body(text.clone());
        if let Some(content_type) = content_type {
            call = call.header("content-type", content_type);
        }
        let what = format!("content-type: {content_type:?}");
        refused
            .expect(&what, call, 415, "unsupported_media_type", &[])
            .await;
    }
    for body in malformed(&text) {
        let what = format!("the body {:.60?}", String::from_utf8_lossy(&body));
        let call = bare.clone().json_text(body);
        refused
            .expect(&what, call, 400, "malformed_body", &[])
            .await;
    }
    for body in ["null", "true", "1", "1.5", "-1", "\"text\"", "[]", "[{}]"] {
        let call = bare.clone().json_text(body.to_owned());
        let what = format!("the body {body:.40}");
        refused
            .expect(&what, call, 422, "invalid_fields", &[""])
            .await;
    }
    for size_bytes in [row.max_body_bytes + 1, 2 * 1024 * 1024] {
        let padded = format!("{text}{}", " ".repeat(size_bytes - text.len()));
        let what = format!("a body of {size_bytes} bytes");
        let call = bare.clone().json_text(padded);
        refused
            .expect(&what, call, 413, "body_too_large", &[])
            .await;
    }
    let mut unknown = valid.clone();
    unknown["is_admin"] = Value::Bool(true);
    let call = bare.json(&unknown);
    refused
        .expect(
            "an unknown field",
            call,
            422,
            "invalid_fields",
            &["is_admin"],
        )
        .await;
    refused.end().await;
}

/// Sends an operation that reads a body with encodings that nobody reads, and with gzip that is
/// none or inflates to too much.
pub(super) async fn encodings(host: &TestHost, row: &Row, holder: &User) {
    let organization = host.organization_of(holder).await;
    let prepared = prepare(host, row, holder, organization).await;
    let token = host.issue_token(holder).await;
    let encoded = |encoding: &str, encode: &dyn Fn(&[u8]) -> Vec<u8>| {
        let call = prepared.encoded(encoding, encode)?;
        Some(match row.stranger {
            401 => call.bearer(&token),
            _ => call,
        })
    };
    let refused = Refused::begin(host, row).await;
    for encoding in ["br", "deflate", "compress", "gzip, gzip", "gzip,", "utf-8"] {
        let Some(call) = encoded(encoding, &<[u8]>::to_vec) else {
            return;
        };
        let what = format!("content-encoding: {encoding}");
        let code = "unsupported_content_encoding";
        let response = refused.expect(&what, call, 415, code, &[]).await;
        if response.header("accept-encoding") != Some("gzip, identity") {
            refused.fail(&response, &what, "Accept-Encoding");
        }
    }
    let padded = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(row.max_body_bytes + 1, b' ');
        gzip(&bytes)
    };
    let bomb = |_: &[u8]| gzip(&vec![b' '; 16 * 1024 * 1024]);
    let cut = |bytes: &[u8]| {
        let mut bytes = gzip(bytes);
        bytes.pop();
        bytes
    };
    let table: [(&str, Encode, u16, &str); 5] = [
        ("what is no gzip", &<[u8]>::to_vec, 400, "malformed_body"),
        ("nothing", &|_| Vec::new(), 400, "malformed_body"),
        ("half of a gzip", &cut, 400, "malformed_body"),
        ("too much", &padded, 413, "body_too_large"),
        ("a bomb", &bomb, 413, "body_too_large"),
    ];
    for (what, encode, status, code) in table {
        for encoding in ["gzip", "X-GZip"] {
            let Some(call) = encoded(encoding, encode) else {
                return;
            };
            refused.expect(what, call, status, code, &[]).await;
        }
    }
    let Some(twice) = encoded("gzip", &gzip) else {
        return;
    };
    let twice = twice.header("content-encoding", "gzip");
    let fields = ["content-encoding"];
    let code = "invalid_parameter";
    refused
        .expect("two encodings", twice, 400, code, &fields)
        .await;
    refused.end().await;
}

/// What makes of a body what is sent.
type Encode<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// The gzip of these bytes.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything")
}

/// Sends an operation that reads JSON with bodies in which a member is given twice: its own, the
/// one that its declaration shows, and deeper ones. Readers of JSON disagree about which of the
/// two counts.
pub(super) async fn repeated_members(
    host: &TestHost,
    row: &Row,
    description: &Description,
    holder: &User,
) {
    let organization = host.organization_of(holder).await;
    let prepared = prepare(host, row, holder, organization).await;
    // Each event is refused by itself there.
    let Some(valid) = prepared
        .json()
        .filter(|_| !matches!(row.body, Body::UsageEvent))
    else {
        return;
    };
    let sample = match &row.json {
        JsonCheck::With(sample) => sample,
        JsonCheck::OfBody | JsonCheck::Elsewhere => valid,
    };
    let item = description.path_item(&template(row.route));
    let method = row.method.as_str().to_ascii_lowercase();
    let shown = item
        .map(|item| &item[method]["requestBody"]["content"]["application/json"]["example"])
        .unwrap_or_else(|| panic!("{} is described", row.route));
    assert!(
        shown.is_object(),
        "{} has an example of its body",
        row.route
    );
    let mut bare = prepared.bare.clone();
    if row.stranger == 401 {
        bare = bare.bearer(&host.issue_token(holder).await);
    }
    let refused = Refused::begin(host, row).await;
    let bodies = [sample, shown].map(members_twice);
    for Twice { text, place } in bodies.into_iter().flatten().chain(twice::deep()) {
        let what = format!("{place} twice");
        let call = bare.clone().json_text(text);
        let fields = [place.as_str()];
        let response = refused
            .expect(&what, call, 422, "invalid_fields", &fields)
            .await;
        let code = &response.json()["errors"][0]["code"];
        if code != "repeated" {
            refused.fail(&response, &what, "the code repeated");
        }
    }
    refused.end().await;
}

/// Texts that are not one JSON document. `text` is one that is.
fn malformed(text: &str) -> [Vec<u8>; 13] {
    // Nothing nests as deep, and a reader must not run out of stack.
    let deep_array = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    [
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        text.as_bytes()[..text.len() - 1].to_vec(),
        format!("{text}{text}").into_bytes(),
        format!("{text},").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        b"{'amount':'1'}".to_vec(),
        b"{\"amount\":NaN}".to_vec(),
        [b"{\"amount\":\"\xff\xfe\"}".as_slice()].concat(),
        b"{\"amount\":\"\0\"}".to_vec(),
        deep_object.into_bytes(),
        deep_array.into_bytes(),
    ]
}
