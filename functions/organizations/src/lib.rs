//! `/api/v1/organizations`: lists, makes, reads and changes organizations.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
}
