//! `PUT /api/v1/auth/password`: changes the caller's password, and ends every other session.

mod handler;
mod queries;

shared::component!("auth-password", "PUT", handler::change);
