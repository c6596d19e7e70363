//! `POST /api/v1/invitations/accept`: makes the invited user a member.

mod handler;
mod queries;

shared::component!("invitations-accept", "POST", handler::accept);
