//! What settlement asks the queue for.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::queue::Job;

/// Confirm settlements whose merchants have had their time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementsDue {
    /// The day that has begun in the mall's zone: their time ends with one.
    pub day: NaiveDate,
}

impl Job for SettlementsDue {
    const NAME: &'static str = "settlements.confirm";

    fn dedup(&self) -> String {
        self.day.to_string()
    }
}

/// End the points of merchants that have left, and look at the lights of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditDue {
    /// The day that has begun in the mall's zone.
    pub day: NaiveDate,
}

impl Job for CreditDue {
    const NAME: &'static str = "credit.look";

    fn dedup(&self) -> String {
        self.day.to_string()
    }
}
