//! What redemption asks the queue for.

use serde::{Deserialize, Serialize};

use crate::{kernel::time::Instant, queue::Job};

/// Give back what was reserved and not fetched in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedemptionsDue {
    /// The minute that has begun.
    pub minute: Instant,
}

impl Job for RedemptionsDue {
    const NAME: &'static str = "redemptions.lapse";

    fn dedup(&self) -> String {
        self.minute.format("%Y-%m-%dT%H:%MZ").to_string()
    }
}
