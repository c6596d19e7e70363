//! `POST /api/v1/auth/introspect`: what a token stands for (RFC 7662).

mod handler;
mod jwt_subject;
mod operations;
mod queries;

shared::component! {
    operations::INTROSPECT => handler::introspect,
}
