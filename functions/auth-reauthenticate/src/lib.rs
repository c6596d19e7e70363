//! `POST /api/v1/auth/reauthenticate`: proves again who the caller is, before a sensitive change.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::REAUTHENTICATE => handler::reauthenticate,
}
