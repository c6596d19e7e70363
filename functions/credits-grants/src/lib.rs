//! `/api/v1/credits/grants`: gives credits to a user, lists the caller's grants
//! and takes back what is left of one.

mod handler;
mod queries;

shared::component!("credits-grants", handler::allow, handler::grants);
