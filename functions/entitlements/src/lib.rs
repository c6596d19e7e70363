//! `/api/v1/entitlements`: which features subjects of an organization may use.

mod handler;
mod queries;
mod terms;

shared::component!("entitlements", handler::allow, handler::entitlements);
