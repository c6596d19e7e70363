//! `/api/v1/plans/:code/versions`: what a plan charges, version by version.

mod handler;
mod queries;

shared::component!("plan-versions", handler::allow, handler::versions);
