//! `/api/v1/auth/api-keys`: creates, lists, rotates and revokes the caller's keys.

mod handler;
mod queries;

shared::component!("auth-api-keys", handler::allow, handler::api_keys);
