//! `POST /api/v1/auth/login`: checks a password and opens a session.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LOGIN => handler::login,
}
