//! `/api/v1/meters`: what of an organization's usage counts, and how.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
    operations::ARCHIVE => handler::archive,
}
