//! `POST /api/v1/auth/reauthenticate`: proves again who the caller is, before a sensitive change.

mod handler;
mod queries;

shared::component!("auth-reauthenticate", "POST", handler::reauthenticate);
