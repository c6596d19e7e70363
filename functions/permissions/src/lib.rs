//! `GET /api/v1/permissions`: every permission there is.

mod handler;
mod queries;

shared::component!("permissions", "GET", handler::permissions);
