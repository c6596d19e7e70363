//! `POST /api/v1/auth/signup`: registers a user, with an organization of their own.

mod handler;
mod queries;

shared::component!("auth-signup", "POST", handler::signup);
