//! For the till: members, purchases and refunds, points that pay, goods that are handed over.

pub mod claims;
pub mod members;
pub mod purchases;
mod quotes;
pub mod refunds;
pub mod spends;
pub mod wallets;

use crate::http::{problem::Problem, refusals};

/// The answer to a slice of one.
fn only<T, E: Into<Problem>>(answers: Vec<Result<T, E>>) -> Result<T, Problem> {
    match answers.into_iter().next() {
        Some(answer) => answer.map_err(Into::into),
        None => Err(refusals::corrupt("answer")),
    }
}
