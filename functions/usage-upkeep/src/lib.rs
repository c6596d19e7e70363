//! `POST /api/v1/usage/upkeep`: partitions of usage events, lapsed credits, entitlements.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::RUN => handler::run,
}
