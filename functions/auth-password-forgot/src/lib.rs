//! `POST /api/v1/auth/password/forgot`: mails a link that resets a password.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::FORGOT => handler::forgot,
}
