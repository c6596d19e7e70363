//! `GET /api/v1/org-billing/analytics/revenue-trends`: how the platform's
//! figures went, day by day, week by week or month by month.

mod handler;
mod interval;
mod operations;
mod queries;

shared::component! {
    operations::READ => handler::trends,
}
