//! `GET /api/v1/auth/me`: the user, organization and permissions behind a token.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
}
