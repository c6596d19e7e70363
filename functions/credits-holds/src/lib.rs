//! `/api/v1/credits/holds`: reserves credits for an operation under way, shows
//! the reservation, and captures or releases it.

mod handler;
mod queries;

shared::component!("credits-holds", handler::allow, handler::holds);
