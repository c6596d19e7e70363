//! `GET /openapi.json`: the description of the API (OpenAPI 3.1).

mod operations;

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

/// `openapi.json` without the spaces between its tokens: see build.rs.
const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

async fn document(_: &Context, _: &Request) -> Result<Reply, Problem> {
    Ok(Reply::from_json_bytes(200, DOCUMENT.as_bytes().to_vec()))
}

shared::component! {
    operations::READ => document,
}
