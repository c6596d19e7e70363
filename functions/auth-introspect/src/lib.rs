//! `POST /api/v1/auth/introspect`: what a token stands for (RFC 7662).

mod handler;
mod jwt_subject;
mod queries;

shared::component!("auth-introspect", "POST", handler::introspect);
