//! `/api/v1/auth/totp`: turns the second factor on and off, and replaces its recovery codes.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::read,
    operations::ENROL => handler::enrol,
    operations::DISABLE => handler::disable,
    operations::CONFIRM => handler::confirm,
    operations::REPLACE_RECOVERY_CODES => handler::replace_recovery_codes,
}
