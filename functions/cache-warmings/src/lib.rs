//! `POST /api/v1/cache/warm`: reads what organizations have before anybody asks for it.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::WARM => handler::warm,
}
