//! The product as a process, on a PostgreSQL that can be killed (trust.md, sections 7.2 and 7.3).
//!
//! The other tests share a server that was made fast; these have one each, with everything on
//! that keeps a commit. They are long, so `.config/nextest.toml` runs them one at a time. What
//! stands here in numbers are counts, and the server's own patience with what a busy machine adds:
//! how fast it goes is printed and not asserted. Some counts are smaller than trust.md's where these
//! tests run on every change; before a release it is `ROTUNDA_TEST_KILLS=20 ROTUNDA_TEST_BOTH=200
//! ROTUNDA_TEST_ROUNDS=50 ROTUNDA_TEST_SECONDS=60 tests/run --run-ignored all -E 'test(faults)'`.

mod acts;
mod bank;
mod closing;
mod crash;
mod deadlocks;
mod doubt;
mod floods;
mod hot_spender;
mod keys;
mod lost_answers;
mod lost_commits;
mod proxy;
mod real;
mod server_killed;
mod stop;
mod waits;
mod wire;

use std::time::{Duration, Instant};

/// A count that the environment may set.
fn figure(name: &str, usually: u32) -> u32 {
    let said = std::env::var(name).ok();
    said.map_or(usually, |text| text.parse().expect(name))
}

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
