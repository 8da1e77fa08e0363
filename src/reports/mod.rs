//! What can be seen across the rooms: reads any table, writes none, belongs to no room.

pub mod home;
pub mod isolation;
pub mod liability;
pub mod own;
pub mod proof;
pub mod sources;
pub mod totals;
