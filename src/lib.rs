//! Rotunda: a points alliance for shopping malls.
//!
//! The rooms, floor by floor; a room imports only from lower floors (`tests/it/house.rs`).

// 0  ground: values that are always valid
pub mod kernel;
// 1  lock: who may do what
pub mod authz;
// 2  pipes: the database
pub mod db;
// 3  cellar: what every room stands on
pub mod ledger;
// 4  rooms: what a mall does
pub mod members;
pub mod merchants;
pub mod reports;
pub mod settlement;
// 5a porch: what every door holds
pub mod app;
// 6  roof: the command line
pub mod cli;
