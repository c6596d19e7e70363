//! `DELETE /api/v1/cache/{namespace}` and `DELETE /api/v1/cache/owners/{id}`: takes away what is
//! cached.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::OF_NAMESPACE => handler::remove_namespace,
    operations::OF_OWNER => handler::remove_owner,
}
