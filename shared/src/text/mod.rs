//! Forms of text that several rooms read.

pub mod email;
pub mod layout;
