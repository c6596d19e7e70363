//! `POST http://pricing-custom.spin.internal/`: one charge's price, by the custom
//! pricing model that `spin.toml` composes this component with.
//!
//! It is a component of its own because a model that breaks takes the instance
//! with it that called it.

mod handler;
mod lines;
mod wire;

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/pricing", world: "pricing-host" });
}

shared::component!("pricing-custom", "POST", handler::price);
