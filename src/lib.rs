//! Rotunda: a points alliance for shopping malls.
//!
//! The rooms, floor by floor; a room imports only from lower floors (`tests/it/house.rs`).

// 0  ground: values that are always valid
pub mod kernel;

// 2  pipes: the database
pub mod db;
