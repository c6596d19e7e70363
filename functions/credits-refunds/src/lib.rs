//! `POST /api/v1/credits/refunds`: gives back what a transaction spent.

mod handler;
mod queries;

shared::component!("credits-refunds", "POST", handler::refund);
