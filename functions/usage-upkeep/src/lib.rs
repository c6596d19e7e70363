//! `POST /api/v1/usage/upkeep`: makes and drops the partitions of usage events.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::RUN => handler::run,
}
