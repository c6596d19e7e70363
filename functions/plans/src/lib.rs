//! `/api/v1/plans`: the platform's catalog of plans.

mod handler;
mod queries;

shared::component!("plans", handler::allow, handler::plans);
