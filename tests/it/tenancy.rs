//! Two malls, one server: nothing of one is in the other.

mod crowd;
mod isolation;
mod names;
mod roles;
mod traffic;
mod twins;
