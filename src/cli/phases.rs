//! Events of many members in the slices that the hot use cases take.

use std::{collections::HashMap, hash::Hash};

/// What a slice is of: points are spent before the purchase on whose receipt they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slice {
    /// Points pay at the till.
    Spends,
    /// Purchases are recorded.
    Purchases,
}

impl Slice {
    /// Spends stand in even phases, purchases in odd ones.
    const fn parity(self) -> usize {
        match self {
            Self::Spends => 0,
            Self::Purchases => 1,
        }
    }
}

/// Events in time order, in slices that may be posted one after the other: within a slice all are
/// of one kind, and nobody's later event stands in an earlier slice. What different members do does
/// not depend on each other; events of nobody stand in the first slice of their kind.
pub(super) fn phases<E, Who: Eq + Hash>(
    events: impl IntoIterator<Item = E>,
    of: impl Fn(&E) -> (Option<Who>, Slice),
) -> Vec<Vec<E>> {
    let mut phases: Vec<Vec<E>> = Vec::new();
    let mut reached: HashMap<Who, usize> = HashMap::new();
    for event in events {
        let (who, slice) = of(&event);
        let parity = slice.parity();
        let place = match who {
            None => parity,
            Some(who) => {
                let phase = reached.entry(who).or_insert(parity);
                if phase.rem_euclid(2) != parity {
                    *phase = phase.saturating_add(1);
                }
                *phase
            }
        };
        while phases.len() <= place {
            phases.push(Vec::new());
        }
        if let Some(phase) = phases.get_mut(place) {
            phase.push(event);
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybodys_order_is_kept_and_a_slice_is_of_one_kind() {
        use Slice::{Purchases, Spends};
        let events = [
            (1, Some('a'), Purchases),
            (2, Some('b'), Spends),
            (3, Some('a'), Purchases),
            (4, None, Purchases),
            (5, Some('a'), Spends),
            (6, Some('b'), Purchases),
            (7, Some('a'), Purchases),
        ];
        let phases = phases(events, |(_, who, slice)| (*who, *slice));
        let numbers: Vec<Vec<i32>> = phases
            .iter()
            .map(|phase| phase.iter().map(|(number, ..)| *number).collect())
            .collect();
        assert_eq!(numbers, [vec![2], vec![1, 3, 4, 6], vec![5], vec![7]]);
    }
}
