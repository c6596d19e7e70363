//! `POST /api/v1/auth/password/forgot`: mails a link that resets a password.

mod handler;
mod queries;

shared::component!("auth-password-forgot", "POST", handler::forgot);
