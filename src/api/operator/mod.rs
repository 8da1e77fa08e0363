//! For the mall's operator: keys, merchants and stores, the catalogue, the books, settlements. A
//! merchant's own keys reach what is theirs of it.

pub mod adjustments;
pub mod agreements;
pub mod applications;
pub mod audit;
pub mod books;
pub mod contacts;
pub mod credit;
pub mod disputes;
pub mod documents;
pub mod earn_rates;
pub mod goods;
pub mod isolation;
pub mod keys;
pub mod liability;
pub mod merchants;
pub mod messages;
pub mod payments;
pub mod role_changes;
pub mod roles;
pub mod settlements;
pub mod staff;
pub mod statements;
pub mod stores;
pub mod stripe;
