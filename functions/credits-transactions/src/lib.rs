//! `GET /api/v1/credits/transactions`: the caller's ledger, newest first.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
}
