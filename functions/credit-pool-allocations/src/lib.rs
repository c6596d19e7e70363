//! `/api/v1/org-billing/organizations/:id/credit-pool/allocations`: what each member
//! may spend of the organization's pool.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::PUT => handler::put,
    operations::REMOVE => handler::remove,
}
