//! What earning asks the queue for.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::queue::Job;

/// Let points lapse whose last day is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsDue {
    /// The day that has begun in the mall's zone.
    pub day: NaiveDate,
}

impl Job for PointsDue {
    const NAME: &'static str = "points.expire";

    fn dedup(&self) -> String {
        self.day.to_string()
    }
}
