//! `POST /api/v1/org-billing/organizations/:id/credit-pool/consume`: spends from the
//! organization's pool, within the caller's allocation.

mod handler;
mod queries;

shared::component!("credit-pool-consume", "POST", handler::consume);
