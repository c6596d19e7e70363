//! `POST /api/v1/auth/login`: checks a password and opens a session.

mod handler;
mod queries;

shared::component!("auth-login", "POST", handler::login);
