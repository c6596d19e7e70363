//! `/api/v1/auth/email`: changes, verifies and confirms the caller's email.

mod handler;
mod queries;

shared::component!("auth-email", handler::allow, handler::email);
