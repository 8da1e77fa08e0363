//! Two malls, one server: nothing of one is in the other.

mod crowd;
mod isolation;
mod life;
mod many;
mod moving;
mod names;
mod places;
mod roles;
mod traffic;
mod twins;
mod walls;
