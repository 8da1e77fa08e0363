//! The console of the mall's own people, and of what a merchant's may see of it.

pub(super) mod audit;
pub(super) mod changes;
pub(super) mod isolation;
pub(super) mod people;
pub(super) mod permissions;
pub(super) mod roles;
