//! Forms of text that several rooms read.

pub mod csv;
pub mod email;
pub mod layout;
