//! Settling months: the examples of settlement.md, closing under pressure, and the laws that hold
//! for every month (trust.md, SET-1 to SET-6).

mod agreements;
mod closing;
mod examples;
mod laws;
mod reach;
