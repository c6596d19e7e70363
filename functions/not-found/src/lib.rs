//! Every path under `/api` that no other component serves, so that a mistyped
//! path gets a problem document and not the host's empty 404.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

async fn refuse(_: &Context, _: &Request) -> Result<Reply, Problem> {
    Err(Problem::no_such_path())
}

shared::component!("not-found", "GET, POST, PUT, PATCH, DELETE", refuse);
