//! `/api/v1/meters`: what of an organization's usage counts, and how.

mod definition;
mod handler;
mod queries;

shared::component!("meters", handler::allow, handler::meters);
