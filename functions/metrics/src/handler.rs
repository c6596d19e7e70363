use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::metrics;

use crate::queries;

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let figures = queries::read(context, token.digest).await?;
    let mut text = String::new();
    metrics::write_stored(&figures, &mut text);
    text.push_str(metrics::END);
    Ok(Reply::text(metrics::MEDIA_TYPE, text))
}
