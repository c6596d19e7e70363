//! `/api/v1/users/:id`: the platform sees, disables and enables users.

mod handler;
mod queries;

shared::component!("users", "GET, PATCH", handler::users);
