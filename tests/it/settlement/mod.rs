//! Settling months: the examples of settlement.md, closing under pressure, and the laws that hold
//! for every month (trust.md, SET-1 to SET-6).

mod agreements;
mod closing;
mod credit;
mod desk;
mod disputes;
mod documents;
mod examples;
pub mod faces;
mod files;
mod laws;
mod listing;
mod mail;
mod paying;
mod period;
mod reach;
mod stripe;
mod units;
