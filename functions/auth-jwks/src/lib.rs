//! `GET /.well-known/jwks.json`: the keys that JWTs are verified with (RFC 7517).

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
}
