//! `PUT /api/v1/auth/password`: changes the caller's password, and ends every other session.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CHANGE => handler::change,
}
