//! The lines of a receipt.

use crate::kernel::text::Category;

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What kind of goods.
    pub category: Category,
    /// How many; 0 and more.
    pub quantity: i64,
    /// What they cost together, in minor units, tax included; 0 and more.
    pub amount: i64,
}
