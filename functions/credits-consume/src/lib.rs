//! `POST /api/v1/credits/consume`: spends the caller's credits.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CONSUME => handler::consume,
}
