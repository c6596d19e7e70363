//! `/api/v1/usage/alerts` and `/api/v1/usage/alert-firings`: whom to tell when usage
//! has reached a threshold, and what was reached.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::READ => handler::read,
    operations::ARCHIVE => handler::archive,
    operations::FIRINGS => handler::firings,
    operations::ALL_FIRINGS => handler::all_firings,
}
