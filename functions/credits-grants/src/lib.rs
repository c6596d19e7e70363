//! `POST /api/v1/credits/grants`: gives credits to a user.

mod handler;
mod queries;

shared::component!("credits-grants", "POST", handler::grant);
