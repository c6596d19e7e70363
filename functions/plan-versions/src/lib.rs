//! `/api/v1/plans/:code/versions`: what a plan charges, version by version.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
}
