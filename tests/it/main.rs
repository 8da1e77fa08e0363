//! Every test that needs more than one room, in one program.

mod proof;
mod settlement;
mod support;
