//! `GET /api/v1/credits/balance`: what the caller can spend.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::BALANCE => handler::balance,
}
