//! Rotunda: a points alliance for shopping malls.
//!
//! The rooms, floor by floor; a room imports only from lower floors (`tests/it/house.rs`).

// 0  ground: values that are always valid
pub mod kernel;
// 1  lock: who may do what
pub mod authz;
// 2  pipes: the database, settings, logs and figures
pub mod config;
pub mod db;
pub mod telemetry;
// 4  rooms
pub mod identity;
// 5a porch: what every door holds
pub mod app;
pub mod http;
// 5b doors
pub mod api;
// 6  roof
pub mod cli;
