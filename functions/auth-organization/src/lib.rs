//! `PUT /api/v1/auth/organization`: lets a session act in another organization of its user.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CHANGE => handler::change,
}
