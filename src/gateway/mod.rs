//! The outside world, as concrete kinds. Nothing here sees a transaction.

pub mod mail;
pub mod sms;
pub mod stripe;
