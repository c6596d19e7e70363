use serde::{Deserialize, Serialize};
use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};

use crate::queries;

/// A permission that a role can hold; a platform's own roles alone hold those
/// that reach across tenants.
#[derive(Debug, Serialize, Deserialize)]
pub struct Permission {
    name: String,
    description: String,
    is_platform: bool,
}

#[derive(Serialize)]
struct Listed {
    permissions: Vec<Permission>,
}

pub async fn permissions(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let permissions = queries::list(context, token.digest).await?;
    Reply::json(200, &Listed { permissions })
}
