//! `POST /api/v1/auth/token`: a JWT for those who validate offline (RFC 9068).

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::GRANT => handler::grant,
}
