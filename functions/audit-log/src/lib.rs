//! `GET /api/v1/audit-log`: what happened in the caller's organization, newest first.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
}
