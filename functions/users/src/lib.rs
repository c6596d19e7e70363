//! `/api/v1/users/{id}`: the platform sees, disables and enables users, and makes one the owner of an
//! organization that is left without.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
    operations::OWN => handler::own,
}
