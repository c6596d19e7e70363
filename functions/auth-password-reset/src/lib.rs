//! `POST /api/v1/auth/password/reset`: replaces a password with a token from a mail.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::RESET => handler::reset,
}
