//! `POST /api/v1/org-billing/organizations/:id/credit-pool/consume`: spends from the
//! organization's pool, within the caller's allocation.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CONSUME => handler::consume,
}
