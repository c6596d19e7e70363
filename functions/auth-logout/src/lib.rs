//! `POST /api/v1/auth/logout`: ends the session that the token belongs to.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LOGOUT => handler::logout,
}
