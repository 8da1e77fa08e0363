//! The porch: what every door shares. Who is knocking, one table of problems, limits, and how the
//! house's values look from outside.
//!
//! A request's way: [`listen`] takes the connection, [`porch`] gives it an id and its limits,
//! [`admit`] finds mall, key and right, [`body`] reads and checks, [`idempotency`] makes sure that
//! the act is done once. Whatever is refused on the way becomes a [`problem`].

pub mod admit;
pub mod body;
pub mod codes;
pub mod contract;
pub mod health;
pub mod idempotency;
pub mod lane;
pub mod limits;
mod linger;
pub mod listen;
pub mod origin;
pub mod paging;
pub mod porch;
pub mod problem;
pub mod refusals;
pub mod reply;
pub mod schema;
pub mod tenant;
pub mod visit;
pub mod wire;
pub mod work;
