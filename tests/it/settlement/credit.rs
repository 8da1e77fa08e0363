//! Merchants' credit: examples H and I of settlement.md with their figures, and what never happens.

mod blocks;
mod defaults;
mod leaving;
mod lights;
