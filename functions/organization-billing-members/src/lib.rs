//! `GET /api/v1/org-billing/organizations/:id/members`: the members with what they
//! may spend of the pool, and have spent.

mod handler;
mod queries;

shared::component!("organization-billing-members", "GET", handler::members);
