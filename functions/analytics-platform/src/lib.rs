//! `/api/v1/org-billing/analytics/platform`: what the platform has sold, seen
//! spent and owes, what its subscriptions bring, and which organizations bring
//! most.

mod cursor;
mod handler;
mod queries;

shared::component!("analytics-platform", "GET", handler::platform);
