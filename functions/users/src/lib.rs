//! `/api/v1/users/{id}`: the platform sees, disables and enables users.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
}
