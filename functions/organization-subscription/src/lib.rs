//! `/api/v1/org-billing/organizations/{id}/subscription`: what an organization has
//! subscribed to.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::PUT => handler::put,
}
