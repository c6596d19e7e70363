//! `POST /api/v1/usage/upkeep`: makes and drops the partitions of usage events.

mod handler;
mod queries;

shared::component!("usage-upkeep", "POST", handler::run);
