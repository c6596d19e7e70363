//! `/api/v1/users/{id}`: the platform sees, disables and enables users, makes one the owner of an
//! organization that is left without, and removes a second factor that was lost.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
    operations::OWN => handler::own,
    operations::REMOVE_FACTOR => handler::remove_factor,
    operations::KEEP_FACTOR => handler::keep_factor,
}
