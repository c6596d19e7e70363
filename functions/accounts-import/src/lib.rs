//! `POST /api/v1/accounts/import`: makes and changes accounts from a CSV file.

mod handler;
mod operations;

shared::component! {
    operations::IMPORT => handler::import,
}
