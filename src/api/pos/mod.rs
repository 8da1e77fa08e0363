//! For the till: members, purchases and refunds, points that pay, goods that are handed over.

pub mod batches;
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

/// Parts what can be tried from what is refused beforehand; of each refusal, where it stood.
fn parted<T>(items: impl Iterator<Item = Result<T, Problem>>) -> (Vec<T>, Vec<(usize, Problem)>) {
    let (mut tried, mut refused) = (Vec::new(), Vec::new());
    for (place, item) in items.enumerate() {
        match item {
            Ok(item) => tried.push(item),
            Err(problem) => refused.push((place, problem)),
        }
    }
    (tried, refused)
}

/// Puts the answers to what was tried and the refusals beforehand back into one order.
fn joined<T, E: Into<Problem>>(
    answers: Vec<Result<T, E>>,
    refused: Vec<(usize, Problem)>,
) -> Vec<Result<T, Problem>> {
    let mut all: Vec<Result<T, Problem>> = answers
        .into_iter()
        .map(|answer| answer.map_err(Into::into))
        .collect();
    for (place, problem) in refused {
        all.insert(place.min(all.len()), Err(problem));
    }
    all
}
