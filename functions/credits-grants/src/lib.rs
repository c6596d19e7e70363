//! `/api/v1/credits/grants`: gives credits to a user, lists the caller's grants
//! and takes back what is left of one.

mod handler;
mod operations;
mod queries;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::VOID => handler::void,
}
