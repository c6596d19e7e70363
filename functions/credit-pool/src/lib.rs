//! `/api/v1/org-billing/organizations/:id/credit-pool`: what the pool has, its
//! ledger, and grants to it.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::GRANTS_CREATE => handler::grant,
    operations::TRANSACTIONS => handler::transactions,
}
