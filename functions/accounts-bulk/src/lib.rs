//! `POST /api/v1/accounts/bulk`: makes and changes many accounts at once.

mod handler;
mod operations;

shared::component! {
    operations::WRITE => handler::write,
}
