//! `/api/v1/org-billing/organizations/:id/subscription`: what an organization has
//! subscribed to.

mod handler;
mod queries;

shared::component!(
    "organization-subscription",
    "GET, PUT",
    handler::subscription
);
