//! `/api/v1/entitlements`: which features subjects of an organization may use.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
    operations::REVOKE => handler::revoke,
    operations::RESET => handler::reset,
}
