//! `/api/v1/organizations/:id/invitations`: invites, lists and takes back.

mod handler;
mod queries;

shared::component!(
    "organization-invitations",
    handler::allow,
    handler::invitations
);
