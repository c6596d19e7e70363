//! `/api/v1/organizations/:id/members`: lists members, changes their roles, removes them.

mod handler;
mod queries;

shared::component!("organization-members", handler::allow, handler::members);
