//! `/api/v1/audit-log`: what happened in the caller's organization, or in none, newest first.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::LIST_PLATFORM => handler::list_platform,
}
