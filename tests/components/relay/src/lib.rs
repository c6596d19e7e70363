//! What it does is in the path:
//!
//! - `GET /call/<component>/<rest>` asks that component for `/<rest>`, and says what came of it,
//! - `GET /request` says what the host made of the request,
//! - `GET /trap` traps,
//! - `GET /ring` asks itself the same, and so never ends by itself.

use serde_json::{Value, json};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use spin_sdk::http::body::IncomingBodyExt as _;

/// What the host adds to a request.
const ADDED: [&str; 5] = [
    "spin-client-addr",
    "spin-component-route",
    "spin-full-url",
    "spin-matched-route",
    "spin-path-info",
];

async fn relay(_: &Context, request: &Request) -> Result<Reply, Problem> {
    let path = request.path();
    if let Some((component, rest)) = path
        .strip_prefix("/call/")
        .and_then(|path| path.split_once('/'))
    {
        return Reply::json(200, &call(component, rest).await);
    }
    match path {
        "/request" => {
            let mut headers = serde_json::Map::new();
            for name in ADDED {
                headers.insert(name.to_owned(), request.header(name)?.into());
            }
            headers.insert("host".into(), request.header("host")?.into());
            Reply::json(200, &headers)
        }
        // The text of an answer in an answer in an answer would double with each.
        "/ring" => Reply::json(200, &call("relay", "ring").await["status"]),
        "/trap" => panic!("as the path says"),
        _ => Err(Problem::not_found("There is no such path.")),
    }
}

/// The answer as its status and text, or the error.
async fn call(component: &str, rest: &str) -> Value {
    let url = format!("http://{component}.spin.internal/{rest}");
    match exchange(&url).await {
        Ok((status, body)) => json!({ "status": status, "body": body }),
        Err(error) => json!({ "error": error }),
    }
}

async fn exchange(url: &str) -> Result<(u16, String), String> {
    let request = http::Request::get(url)
        .body(String::new())
        .map_err(|error| error.to_string())?;
    let response = spin_sdk::http::send(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .bytes()
        .await
        .map_err(|error| format!("{error:?}"))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

shared::component!("relay", "GET", relay);
