//! `GET /api/v1/org-billing/organizations/{id}/members`: the members with what they
//! may spend of the pool, and have spent.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
}
