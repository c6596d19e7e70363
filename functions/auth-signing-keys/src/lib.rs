//! `/api/v1/auth/signing-keys`: lists, rotates and withdraws the keys that sign JWTs.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::ROTATE => handler::rotate,
    operations::WITHDRAW => handler::withdraw,
}
