//! `/api/v1/auth/sessions`: lists the caller's sessions, ends one, or ends all others.

mod handler;
mod queries;

shared::component!("auth-sessions", handler::allow, handler::sessions);
