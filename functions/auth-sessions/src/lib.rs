//! `/api/v1/auth/sessions`: lists the caller's sessions, ends one, or ends all others.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::REVOKE_OTHERS => handler::revoke_others,
    operations::REVOKE => handler::revoke,
}
