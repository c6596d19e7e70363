//! `/api/v1/organizations`: lists, makes, reads and changes organizations.

mod handler;
mod queries;

shared::component!("organizations", handler::allow, handler::organizations);
