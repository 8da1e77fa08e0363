//! The database: how the program reaches PostgreSQL.

pub mod embedded;
