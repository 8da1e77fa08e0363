//! The product against a real PostgreSQL: `tests/run` gives it one in `DATABASE_URL`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed; clippy knows test functions, not their helpers"
)]

mod manifests;
mod members;
mod merchants;
mod porch;
mod proof;
mod redemption;
mod settlement;
mod support;
mod tenants;
