//! `/api/v1/auth/email`: changes, verifies and confirms the caller's email, and undoes a change.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::CHANGE => handler::change,
    operations::VERIFICATION => handler::verify,
    operations::CONFIRM => handler::confirm,
    operations::UNDO => handler::undo,
}
