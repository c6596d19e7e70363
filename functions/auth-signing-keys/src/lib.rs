//! `/api/v1/auth/signing-keys`: lists, rotates and withdraws the keys that sign JWTs.

mod handler;
mod queries;

shared::component!("auth-signing-keys", handler::allow, handler::signing_keys);
