//! People who sign in: trust.md, 7.8.

mod coming;
mod factor;
mod letters;
mod limits;
mod members;
mod own;
mod own_roles;
mod owners;
mod people;
mod stores;

pub use coming::gone as gone_from;
