//! The outside world, as concrete kinds. Nothing here sees a transaction.

pub mod files;
pub mod mail;
pub mod sms;
pub mod stripe;
