//! `GET /api/v1/auth/me`: the user, organization and permissions behind a token.

mod handler;
mod queries;

shared::component!("auth-me", "GET", handler::me);
