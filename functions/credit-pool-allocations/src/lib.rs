//! `/api/v1/org-billing/organizations/:id/credit-pool/allocations`: what each member
//! may spend of the organization's pool.

mod handler;
mod queries;

shared::component!(
    "credit-pool-allocations",
    handler::allow,
    handler::allocations
);
