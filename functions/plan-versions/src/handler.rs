//! A version is never changed: other prices are another version. So whoever has
//! one named pays the same for good, and an old invoice can be rated again.

use shared::http::context::Context;
use shared::http::problem::Problem;
use shared::http::{Reply, Request};
use shared::ids::PlanVersionId;
use shared::rating::plan_terms::{self, MAX_TERMS_BYTES, NewPlanTerms, PlanCode};

use crate::operations::{PlanVersionPage, PlanVersionsQuery};
use crate::queries;

pub async fn list(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let code = request.named("code", plan_terms::plan_not_found)?;
    let query: PlanVersionsQuery = request.query()?;
    let page = request.page::<PlanVersionsQuery>(&token, query.limit, query.cursor.as_ref())?;
    let versions = queries::list(context, token.digest, code, &page).await?;
    let (versions, next_cursor) = page.cut(versions, |version| version.version.into())?;
    let listed = PlanVersionPage {
        versions,
        next_cursor,
    };
    Reply::json(200, &listed)
}

pub async fn read(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let code = request.named("code", plan_terms::plan_not_found)?;
    let number = request.named("version", plan_terms::version_not_found)?;
    let version = queries::read(context, token.digest, code, number).await?;
    Reply::json(200, &version)
}

pub async fn create(context: &Context, request: &Request) -> Result<Reply, Problem> {
    let token = request.access_token()?;
    let code: PlanCode = request.named("code", plan_terms::plan_not_found)?;
    let (terms, _) = request.json_within::<NewPlanTerms>(MAX_TERMS_BYTES).await?;
    let id = PlanVersionId::new(context.now_millis(), &context.random()?);
    let made = queries::create(context, token.digest, id, code, &terms).await?;
    Reply::json(if made.is_new { 201 } else { 200 }, &made.version)
}
