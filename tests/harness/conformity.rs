//! What every response must keep, whatever was asked.

use http::Method;
use serde_json::Value;

use crate::description::Description;
use crate::response::Response;

/// What is the same for everyone, and may be kept for as long as openapi.json says.
const PUBLIC_FOR_A_WHILE: [&str; 1] = ["/.well-known/jwks.json"];

/// What may be longer than what is in memory at once, and is then sent without a length.
const OF_ANY_LENGTH: [&str; 2] = [
    "/api/v1/accounts/export",
    "/api/v1/credits/transactions/export",
];

/// Fails the test when the response lacks a header that every response has, is a fault of the
/// server's, is an error in another form than a problem document, or is not described.
#[track_caller]
pub fn check(response: &Response, description: &Description) {
    if response.status == 500 {
        response.fail("nothing that a client sends may cause a 500: see the log lines");
    }
    if let Err(reason) = check_headers(response)
        .and_then(|()| check_problem(response))
        .and_then(|()| check_description(response, description))
    {
        response.fail(&reason);
    }
}

fn check_headers(response: &Response) -> Result<(), String> {
    let header = |name: &str| match response.headers.get_all(name).iter().count() {
        1 => Ok(response.header(name).unwrap_or_default()),
        count => Err(format!(
            "the header {name} must be there once, not {count} times"
        )),
    };
    let expect = |name: &str, is_right: fn(&str) -> bool, rule: &str| {
        let value = header(name)?;
        if is_right(value) {
            Ok(())
        } else {
            Err(format!("the header {name} is {value:?} and must be {rule}"))
        }
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_id = |text: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=128).contains(&text.len()) && text.bytes().all(allowed)
    };
    let is_time = |text: &str| {
        let number = text
            .strip_suffix("ms")
            .and_then(|text| text.split_once('.'));
        number.is_some_and(|(millis, micros)| {
            millis.parse::<u64>().is_ok() && micros.len() == 3 && micros.parse::<u16>().is_ok()
        })
    };
    expect(
        "x-request-id",
        is_id,
        "1 to 128 letters, digits, '-', '_' or '.'",
    )?;
    expect("x-response-time", is_time, "milliseconds such as 1.250ms")?;
    expect("x-db-queries", is_number, "a number")?;
    expect(
        "x-cache",
        |text| matches!(text, "hit" | "miss" | "bypass"),
        "hit, miss or bypass",
    )?;
    let is_rate = |text: &str| {
        let rate = text
            .split_once('.')
            .map(|(percent, tenths)| (percent.parse::<u32>().unwrap_or(u32::MAX), tenths.len()));
        text == "-" || rate.is_some_and(|(percent, digits)| percent <= 100 && digits == 1)
    };
    expect(
        "x-cache-hit-rate",
        is_rate,
        "percent with one decimal, or -",
    )?;
    expect(
        "x-content-type-options",
        |text| text == "nosniff",
        "nosniff",
    )?;
    expect(
        "content-security-policy",
        |text| text == "default-src 'none'; frame-ancestors 'none'",
        "default-src 'none'; frame-ancestors 'none'",
    )?;
    let path = response.target.split('?').next().unwrap_or_default();
    if response.status == 200 && PUBLIC_FOR_A_WHILE.contains(&path) {
        let is_public = |text: &str| text.starts_with("public, max-age=");
        expect("cache-control", is_public, "public, with a max-age")?;
    } else {
        expect("cache-control", |text| text == "no-store", "no-store")?;
    }
    header("content-type")?;
    if response.status == 200
        && OF_ANY_LENGTH.contains(&path)
        && response.header("transfer-encoding") == Some("chunked")
    {
        return match response.header("content-length") {
            None => Ok(()),
            Some(_) => Err("a chunked body must not have a content-length".to_owned()),
        };
    }
    expect("content-length", is_number, "a number")?;
    let length = header("content-length")?;
    let is_head = response.method == Method::HEAD;
    if !is_head && length.parse() != Ok(response.body.len()) {
        return Err(format!(
            "content-length is {length}, but the body has {} bytes",
            response.body.len()
        ));
    }
    for (status, name) in [
        (401, "www-authenticate"),
        (405, "allow"),
        (429, "retry-after"),
        (503, "retry-after"),
    ] {
        if response.status == status {
            header(name)?;
        }
    }
    // Other conflicts do not go away by waiting.
    let is_in_flight = || response.json()["code"] == "request_in_flight";
    if response.status == 409 && !is_head && is_in_flight() {
        header("retry-after")?;
    }
    Ok(())
}

fn check_problem(response: &Response) -> Result<(), String> {
    if response.status < 400 || response.method == Method::HEAD {
        return Ok(());
    }
    let content_type = response.header("content-type");
    if content_type != Some("application/problem+json") {
        return Err("an error's content type must be application/problem+json".to_owned());
    }
    let document: Value = serde_json::from_slice(&response.body)
        .map_err(|error| format!("a problem document must be JSON: {error}"))?;
    let code = document["code"].as_str().unwrap_or_default();
    for member in ["type", "title", "detail", "code", "request_id"] {
        if document[member].as_str().is_none_or(str::is_empty) {
            return Err(format!(
                "the problem document must have the text {member:?}"
            ));
        }
    }
    if document["type"] != format!("urn:turnpike:problem:{code}") {
        return Err("the problem's type must end with its code".to_owned());
    }
    if document["status"] != response.status {
        return Err("the problem's status must be the response's".to_owned());
    }
    if document["request_id"].as_str() != response.header("x-request-id") {
        return Err("the problem's request_id must be the response's x-request-id".to_owned());
    }
    Ok(())
}

fn check_description(response: &Response, description: &Description) -> Result<(), String> {
    let path = response.target.split('?').next().unwrap_or_default();
    let Some(item) = description.path_item(path) else {
        return if description.is_route(path) {
            Err(format!("openapi.json does not describe {path}"))
        } else {
            Ok(())
        };
    };
    let method = response.method.as_str();
    let Some(operation) = item.get(method.to_ascii_lowercase()) else {
        return check_method_refusal(response, item);
    };
    check_statements(response, operation)?;
    let status = response.status.to_string();
    let Some(described) = operation["responses"].get(&status) else {
        return Err(format!(
            "openapi.json does not say that {method} {path} may answer {status}"
        ));
    };
    let described = description
        .resolve(described)
        .ok_or_else(|| format!("the $ref of {method} {path} {status} leads nowhere"))?;
    check_described_headers(response, described, description)?;
    let content_type = response.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    let Some(media) = described["content"].get(media_type) else {
        return Err(format!(
            "openapi.json does not say that {method} {path} {status} answers {media_type}"
        ));
    };
    let Some(schema) = media.get("schema") else {
        return Err(format!(
            "{method} {path} {status} has no schema in openapi.json"
        ));
    };
    let body = if media_type.ends_with("json") {
        response.json()
    } else {
        Value::from(String::from_utf8_lossy(&response.body).into_owned())
    };
    description.check(schema, &body).map_err(|reason| {
        format!("the body is not what openapi.json says of {method} {path} {status}: {reason}")
    })
}

/// No answer takes more statements than its operation declares. Those that were sent again, because
/// a connection was lost or Postgres broke a deadlock, are in the log.
fn check_statements(response: &Response, operation: &Value) -> Result<(), String> {
    let declared = operation["x-max-db-queries"].as_u64().unwrap_or(1);
    let sent = u64::from(response.db_queries());
    if sent <= declared {
        return Ok(());
    }
    let request_id = response.header("x-request-id").unwrap_or_default();
    let is_repetition =
        |line: &&String| line.contains(request_id) && line.contains("a statement is sent again");
    // The log of a host that is another process is not here.
    let Some(log) = &response.log else {
        return Ok(());
    };
    let repeated = log.lines().iter().filter(is_repetition).count() as u64;
    if sent > declared + repeated {
        return Err(format!(
            "it took {sent} statements, and its operation declares {declared} at most: send one that does \
             both, or declare `.statements({sent})`"
        ));
    }
    Ok(())
}

/// OpenAPI has no place for methods that a path does not have.
fn check_method_refusal(response: &Response, item: &Value) -> Result<(), String> {
    let mut described = Description::methods(item);
    let mut allowed: Vec<String> = response
        .header("allow")
        .unwrap_or_default()
        .split(", ")
        .map(str::to_owned)
        .collect();
    described.sort();
    allowed.sort();
    if response.status != 405 || allowed != described {
        return Err(format!(
            "openapi.json describes only {described:?} here, so this must be a 405 that allows \
             exactly those"
        ));
    }
    Ok(())
}

fn check_described_headers(
    response: &Response,
    described: &Value,
    description: &Description,
) -> Result<(), String> {
    let headers = described["headers"].as_object();
    for (name, header) in headers.into_iter().flatten() {
        let Some(header) = description.resolve(header) else {
            return Err(format!("the $ref of the header {name} leads nowhere"));
        };
        let is_required = header["required"].as_bool().unwrap_or(false);
        match response.header(&name.to_ascii_lowercase()) {
            None if is_required => {
                return Err(format!("openapi.json promises the header {name}"));
            }
            None => {}
            Some(text) => {
                let value = match text.parse::<u64>() {
                    Ok(number) if wants_number(description, &header["schema"]) => number.into(),
                    _ => Value::from(text),
                };
                description
                    .check(&header["schema"], &value)
                    .map_err(|reason| format!("the header {name}: {reason}"))?;
            }
        }
    }
    Ok(())
}

fn wants_number(description: &Description, schema: &Value) -> bool {
    let schema = description.resolve(schema).unwrap_or(schema);
    matches!(schema["type"].as_str(), Some("integer" | "number"))
}
