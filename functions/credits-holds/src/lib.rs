//! `/api/v1/credits/holds`: reserves credits for an operation under way, shows
//! the reservation, and captures or releases it.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::HOLD => handler::hold,
    operations::SHOW => handler::show,
    operations::CAPTURE => handler::capture,
    operations::RELEASE => handler::release,
}
