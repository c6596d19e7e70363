//! `GET /.well-known/jwks.json`: the keys that JWTs are verified with (RFC 7517).

mod handler;
mod queries;

shared::component!("auth-jwks", "GET", handler::jwks);
