//! People who sign in: trust.md, 7.8.

mod coming;
mod factor;
mod letters;
mod limits;
mod people;

pub use coming::gone as gone_from;
