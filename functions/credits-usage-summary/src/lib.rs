//! `GET /api/v1/credits/usage/summary`: what the caller has spent, by day, service
//! and model.

mod grouping;
mod handler;
mod operations;
mod queries;

shared::component! {
    operations::SUMMARY => handler::summary,
}
