//! `/api/v1/organizations/{id}/roles`: an organization's own roles.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::PUT => handler::put,
    operations::DELETE => handler::delete,
}
