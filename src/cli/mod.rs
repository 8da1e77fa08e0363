//! The command line: a file a noun.

pub mod books;
pub mod settle;
mod table;
