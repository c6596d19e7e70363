//! `/api/v1/accounts`: who is billed.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
    operations::CLOSE => handler::close,
    operations::REOPEN => handler::reopen,
    operations::SET_OWNER => handler::set_owner,
}
