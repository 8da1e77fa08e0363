//! The command line.

pub mod tenant;
