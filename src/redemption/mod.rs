//! Redemption: spending points at the till, goods for points.

mod returns;
mod store;

pub use returns::{Paid, ReceiptKey, Returns, paid_by_points, returns};
