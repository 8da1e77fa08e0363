//! The product against a real PostgreSQL: `tests/run` gives it one in `DATABASE_URL`.
#![expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected fails"
)]

mod authz;
mod expiry;
mod house;
mod ledger;
mod support;
mod tenancy;
