//! `POST /api/v1/auth/password/reset`: replaces a password with a token from a mail.

mod handler;
mod queries;

shared::component!("auth-password-reset", "POST", handler::reset);
