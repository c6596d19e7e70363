//! `/api/v1/organizations/:id/roles`: an organization's own roles.

mod handler;
mod queries;

shared::component!("organization-roles", handler::allow, handler::roles);
