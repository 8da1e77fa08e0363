//! The books: whatever happens to them, every point is somewhere, once, and every fen has an owner.

mod examples;
mod grants;
mod limits;
mod lots;
mod model;
mod replay;
mod reversals;
mod sequences;
mod steps;
