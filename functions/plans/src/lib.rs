//! `/api/v1/plans`: the platform's catalog of plans.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
}
