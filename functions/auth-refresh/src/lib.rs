//! `POST /api/v1/auth/refresh`: spends a refresh token for a new pair.

mod handler;
mod queries;

shared::component!("auth-refresh", "POST", handler::refresh);
