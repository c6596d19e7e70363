//! `PUT /api/v1/auth/organization`: lets a session act in another organization of its user.

mod handler;
mod queries;

shared::component!("auth-organization", "PUT", handler::change);
