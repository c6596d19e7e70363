//! `POST /api/v1/auth/refresh`: spends a refresh token for a new pair.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::REFRESH => handler::refresh,
}
