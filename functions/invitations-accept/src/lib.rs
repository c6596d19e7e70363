//! `POST /api/v1/invitations/accept`: makes the invited user a member.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::ACCEPT => handler::accept,
}
