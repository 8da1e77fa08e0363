//! The product against a real PostgreSQL: `tests/run` gives it one in `DATABASE_URL`.
#![expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::similar_names,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails, and a story may be long"
)]

mod adjustments;
mod agreements;
mod api;
mod audit;
mod authz;
mod batch;
mod by_itself;
mod compile;
mod earmarks;
mod earn_rates;
mod expiry;
mod faults;
mod flows;
mod house;
mod identity;
mod lane;
mod ledger;
mod liability;
mod manifests;
mod matrix;
mod members;
mod merchants;
mod onboarding;
mod porch;
mod portable;
mod proof;
mod reads;
mod real_input;
mod redemption;
mod settlement;
mod support;
mod tenancy;
mod tenants;
mod web;
