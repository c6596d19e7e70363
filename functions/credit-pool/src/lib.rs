//! `/api/v1/org-billing/organizations/:id/credit-pool`: what the pool has, its
//! ledger, and grants to it.

mod handler;
mod queries;

shared::component!("credit-pool", handler::allow, handler::pool);
