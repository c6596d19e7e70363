//! `/api/v1/usage/closed-periods/:organization_id`: until when an organization's usage
//! was added up for good.

mod handler;
mod queries;

shared::component!("usage-closed-periods", "GET, PUT", handler::closed_period);
