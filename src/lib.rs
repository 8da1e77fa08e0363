//! Rotunda: a points alliance for shopping malls.
//!
//! The rooms, floor by floor; a room imports only from lower floors (`tests/it/house.rs`).

// 0  ground: values that are always valid
pub mod kernel;
// 1  lock: who may do what
pub mod authz;
// 2  pipes: the database, the world outside, settings, logs and figures, words
pub mod config;
pub mod db;
pub mod gateway;
pub mod telemetry;
pub mod texts;
// 3  cellar: what every room stands on
pub mod audit;
pub mod ledger;
pub mod notify;
pub mod queue;
// 4  rooms: what a mall does
pub mod earning;
pub mod identity;
pub mod members;
pub mod merchants;
pub mod redemption;
pub mod reports;
pub mod settlement;
pub mod tenancy;
// 5a porch: what every door holds, who is knocking
pub mod app;
pub mod http;
// 5b doors: three ways in
pub mod api;
pub mod jobs;
pub mod web;
// 6  roof: the command line
pub mod cli;
