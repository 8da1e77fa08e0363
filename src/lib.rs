//! Rotunda: a points alliance for shopping malls.
//!
//! The rooms, floor by floor; a room imports only from lower floors (`tests/it/house.rs`).

// 0  ground: values that are always valid
pub mod kernel;
// 1  lock: who may do what
pub mod authz;
// 2  pipes: the database
pub mod db;
// 3  cellar: deep modules that every room stands on
pub mod queue;
// 5b doors: three ways in
pub mod jobs;
