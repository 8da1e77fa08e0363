//! How coins move: out of the wallet in spend order, back into it, and away when their time comes.

use rotunda::{
    kernel::ids::{LotId, MemberId, MerchantId},
    ledger::{Drawn, lots::Draw},
};

use super::{Place, World};

impl World {
    /// Every coin in the member's wallet whose time has come lapses.
    pub(super) fn lapse(&mut self, member: MemberId) -> i64 {
        let (now, mut lapsed) = (self.now, 0);
        for coin in self
            .coins
            .iter_mut()
            .filter(|coin| coin.place == Place::Wallet)
        {
            let grant = &self.grants[coin.lot];
            if grant.member == member && grant.expires_at.is_some_and(|end| end <= now) {
                coin.place = Place::Expired;
                lapsed += 1;
            }
        }
        lapsed
    }

    /// Moves coins that `taker` takes out of the wallet in spend order.
    pub(super) fn take(
        &mut self,
        member: MemberId,
        points: i64,
        to: Place,
        taker: Option<MerchantId>,
    ) -> Vec<Drawn> {
        let usable = |lot: &usize| {
            let grant = &self.grants[*lot];
            grant.member == member && grant.is_open(self.now) && grant.is_for(taker)
        };
        let mut order: Vec<usize> = (0..self.grants.len()).filter(usable).collect();
        order.sort_by_key(|lot| {
            let grant = &self.grants[*lot];
            (
                grant.expires_at.is_none(),
                grant.expires_at,
                grant.earned_at,
                grant.id,
            )
        });
        let (mut left, mut drawn) = (points, Vec::new());
        for lot in order {
            let mut part = 0;
            for coin in self.coins.iter_mut().filter(|coin| coin.lot == lot) {
                if part < left && coin.place == Place::Wallet {
                    coin.place = to;
                    part += 1;
                }
            }
            left -= part;
            if part > 0 {
                let (id, issuer) = (self.grants[lot].id, self.grants[lot].issuer);
                let draw = Draw {
                    lot: id,
                    issuer,
                    only_at: self.grants[lot].only_at,
                    earned_at: self.grants[lot].earned_at,
                    points: part,
                    value: 0,
                };
                drawn.push(Drawn {
                    draw,
                    returned: 0,
                    value_returned: 0,
                });
            }
        }
        drawn
    }

    /// Puts coins back into the wallet; a lot whose time has come lives on for the grace.
    pub(super) fn restore(&mut self, lot: LotId, points: i64, from: Place) {
        let place = self
            .grants
            .iter()
            .position(|grant| grant.id == lot)
            .unwrap();
        let coins = self.coins.iter_mut();
        let of_it = coins.filter(|coin| coin.lot == place && coin.place == from);
        let moved = of_it
            .take(points as usize)
            .map(|coin| coin.place = Place::Wallet)
            .count();
        assert_eq!(moved as i64, points);
        if self.grants[place]
            .expires_at
            .is_some_and(|end| end <= self.now)
        {
            self.grants[place].expires_at = Some(self.grace());
        }
    }

    /// What is owed is filled from what there is, the oldest debt first.
    pub(super) fn fill(&mut self, member: MemberId) {
        for at in 0..self.debts.get(&member).map_or(0, Vec::len) {
            let (_, creditor, owed) = self.debts[&member][at];
            let drawn = self.take(member, owed, Place::Filled(creditor), Some(creditor));
            let filled: i64 = drawn.iter().map(|past| past.draw.points).sum();
            self.debts.get_mut(&member).unwrap()[at].2 -= filled;
        }
    }
}
