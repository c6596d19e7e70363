//! `/api/v1/organizations/{id}/members`: lists members, changes their roles, removes them.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CHANGE => handler::change,
    operations::REMOVE => handler::remove,
}
