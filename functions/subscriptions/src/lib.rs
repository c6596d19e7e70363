//! `/api/v1/subscriptions`: which plan an account has, from when to when, and what it owes in
//! advance for it.

mod facts;
mod handler;
mod lines;
mod operations;
mod queries;
mod rules;

use operations::subscription;

shared::component! {
    operations::LIST => handler::list,
    operations::CREATE => handler::create,
    operations::PREVIEW_NEW => handler::preview_new,
    operations::ADVANCE => handler::advance,
    operations::READ => handler::read,
    operations::CHANGE => handler::change,
    operations::CANCEL => handler::cancel,
    operations::RESUME => handler::resume,
    operations::PAUSE => handler::pause,
    operations::UNPAUSE => handler::unpause,
    operations::PREVIEW => handler::preview,
    operations::ADJUSTMENTS => handler::adjustments,
    operations::CHANGES => handler::changes,
    operations::TEST_CLOCK => handler::test_clock,
}
