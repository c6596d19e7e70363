//! `GET /api/v1/permissions`: every permission there is.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
}
