//! The lock: policy in, [`grant::Grant`] out. Pure, without any I/O.
//!
//! `policies/` holds the whole matrix: which role may do what, and how far it reaches. The files
//! are part of the program; [`policy::Policy::embedded`] reads them once at start and refuses a
//! policy with a hole in it. Roles travel on the [`actor::Principal`]; Casbin knows roles only,
//! never people, so its about one hundred rules never change while the program runs, and each
//! decision is made once and remembered.
//!
//! What a mall adds of its own ([`own`]) is data that whoever recognises a principal hands over with
//! it: never wider than the reviewed roles of the same kind of people, and asked of Casbin too.
//!
//! A [`grant::Grant`] has a type parameter, the action that it permits. A use case asks for
//! `&Grant<RecordPurchase>`; a door that has not asked the policy cannot call it.

pub mod action;
pub mod actor;
pub mod grant;
pub mod own;
pub mod policy;
