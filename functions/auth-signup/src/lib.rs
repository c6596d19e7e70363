//! `POST /api/v1/auth/signup`: registers a user, with an organization of their own.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::SIGNUP => handler::signup,
}
