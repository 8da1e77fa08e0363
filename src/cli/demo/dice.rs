//! Chance that falls the same way every time.

use crate::kernel::ids::Entropy;

/// Dice with a fixed seed.
#[derive(Debug)]
pub(super) struct Dice(Entropy);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// A number below `bound`, as a place in a list.
    pub(super) fn place(&self, bound: usize) -> usize {
        let below = self.below(u64::try_from(bound).unwrap_or(u64::MAX));
        usize::try_from(below).unwrap_or(0)
    }

    /// One of these; none of nothing.
    pub(super) fn of<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.place(list.len()))
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(super) fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        let more = i64::try_from(self.below(width.saturating_add(1))).unwrap_or(0);
        low.saturating_add(more)
    }

    /// How often a line follows another: the mean of the answers is `tenths` / 10.
    pub(super) fn more(&self, tenths: u64) -> u64 {
        // A geometric distribution: each line is followed by one more with chance m / (1 + m).
        let chance = tenths
            .saturating_mul(1000)
            .checked_div(tenths.saturating_add(10))
            .unwrap_or(0);
        let mut count = 0_u64;
        while count < 11 && self.chance(chance) {
            count = count.saturating_add(1);
        }
        count
    }

    /// A price in fen: mostly near `usual`, rarely near `high`.
    pub(super) fn price(&self, (low, usual, high): (i64, i64, i64)) -> i64 {
        if self.chance(450) {
            let below = usual.saturating_sub(low);
            let less = self.between(0, below).min(self.between(0, below));
            return usual.saturating_sub(less);
        }
        let above = high.saturating_sub(usual);
        let more = (0..4).map(|_| self.between(0, above)).min().unwrap_or(0);
        usual.saturating_add(more)
    }
}

/// Things to be drawn, some oftener than others.
#[derive(Debug)]
pub(super) struct Urn<T> {
    things: Vec<(u64, T)>,
    weight: u64,
}

impl<T> Urn<T> {
    pub(super) fn new(weighed: impl IntoIterator<Item = (u64, T)>) -> Self {
        let mut weight = 0_u64;
        let things = weighed
            .into_iter()
            .map(|(own, thing)| {
                weight = weight.saturating_add(own);
                (weight, thing)
            })
            .collect();
        Self { things, weight }
    }

    /// One of them; none of nothing.
    pub(super) fn draw(&self, dice: &Dice) -> Option<&T> {
        let ticket = dice.below(self.weight);
        let place = self.things.partition_point(|(upto, _)| *upto <= ticket);
        self.things.get(place).map(|(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_falls_the_same_way() {
        let [one, two] = [7, 7].map(|seed| {
            let dice = Dice::new(seed);
            (0..100).map(|_| dice.below(1000)).collect::<Vec<_>>()
        });
        assert_eq!(one, two);
    }

    #[test]
    fn an_urn_gives_by_weight_and_never_what_weighs_nothing() {
        let dice = Dice::new(1);
        let urn = Urn::new([(0, 'a'), (3, 'b'), (1, 'c'), (0, 'd')]);
        let drawn: Vec<char> = (0..4000).filter_map(|_| urn.draw(&dice).copied()).collect();
        let often = drawn.iter().filter(|one| **one == 'b').count();
        assert_eq!(drawn.len(), 4000);
        assert!((2800..3200).contains(&often), "{often}");
        assert!(!drawn.contains(&'a') && !drawn.contains(&'d'));
    }

    #[test]
    fn prices_stay_between_their_ends_and_gather_at_the_usual_one() {
        let dice = Dice::new(2);
        let prices: Vec<i64> = (0..2000).map(|_| dice.price((350, 15_80, 98_00))).collect();
        assert!(prices.iter().all(|price| (350..=98_00).contains(price)));
        let mean = prices.iter().sum::<i64>() / 2000;
        assert!((15_80..30_00).contains(&mean), "{mean}");
    }
}
