//! `/api/v1/auth/api-keys`: creates, lists, rotates and revokes the caller's keys.

mod handler;
mod operations;
mod queries;
mod secret;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::REVOKE => handler::revoke,
    operations::ROTATE => handler::rotate,
}
