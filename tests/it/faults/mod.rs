//! The product as a process, on a PostgreSQL that can be killed (trust.md, sections 7.2 and 7.3).
//!
//! The other tests share a server that was made fast; these have one each, with everything on
//! that keeps a commit. They are long, so `.config/nextest.toml` runs them one at a time. What
//! stands here in numbers are counts: how fast it goes is printed and never asserted.

mod acts;
mod bank;
mod closing;
mod crash;
mod hot_spender;
mod lost_answers;
mod proxy;
mod real;

use std::time::{Duration, Instant};

/// Waits until something is so; a test that waits longer than this has failed.
async fn until(what: &str, so: impl AsyncFn() -> bool) -> Duration {
    let since = Instant::now();
    while !so().await {
        assert!(since.elapsed() < Duration::from_mins(1), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    since.elapsed()
}

/// The value below which so many of a hundred lie.
fn percentile(of: &mut [Duration], percent: usize) -> Duration {
    of.sort_unstable();
    let place = of.len() * percent / 100;
    of.get(place.min(of.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
