//! `/api/v1/org-billing/analytics/platform`: what the platform has sold, seen
//! spent and owes, what its subscriptions bring, and which organizations bring
//! most.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::figures,
    operations::ORGANIZATIONS => handler::organizations,
}
