//! `/api/v1/usage/closed-periods/:organization_id`: until when an organization's usage
//! was added up for good.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::PUT => handler::close,
}
