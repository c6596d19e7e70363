//! `PUT /api/v1/auth/organization`: moves a session to another organization of its user.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CHANGE => handler::change,
}
