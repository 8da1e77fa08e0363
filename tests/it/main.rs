//! Every test that needs more than one room, in one program.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking, its helpers too"
)]

mod proof;
mod settlement;
mod support;
