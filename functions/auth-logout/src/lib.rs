//! `POST /api/v1/auth/logout`: ends the session that the token belongs to.

mod handler;
mod queries;

shared::component!("auth-logout", "POST", handler::logout);
