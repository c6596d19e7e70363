//! `/api/v1/organizations/{id}/invitations`: invites, lists and takes back.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::REVOKE => handler::revoke,
}
