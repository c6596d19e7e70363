//! `/api/v1/auth/totp`: turns the second factor on and off, and replaces its recovery codes.

mod handler;
mod queries;

shared::component!("auth-totp", handler::allow, handler::totp);
