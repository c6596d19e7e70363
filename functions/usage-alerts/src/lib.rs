//! `/api/v1/usage/alerts` and `/api/v1/usage/alert-firings`: whom to tell when usage
//! has reached a threshold, and what was reached.

mod definition;
mod handler;
mod queries;

shared::component!("usage-alerts", handler::allow, handler::alerts);
