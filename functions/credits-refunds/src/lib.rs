//! `POST /api/v1/credits/refunds`: gives back what a transaction spent.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::REFUND => handler::refund,
}
