//! Moving points back: reservations given up, spends returned, purchases refunded, debts filled.

use super::{
    Drawn, LedgerError,
    account::Account,
    books::{Books, Clawed, Deficit, Draft, Posted, Row, minus},
    lots::{Draw, add, sub, value_of_return},
    transfer::Event,
};
use crate::kernel::{
    AmountError,
    ids::{JournalId, LotId, MerchantId},
    money::ratio_floor,
    time::Instant,
};

impl Books {
    /// Points that were set aside go back into their lots; a lot that lapsed meanwhile lives on
    /// until `grace`.
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn release(
        &mut self,
        event: &Event,
        held: &[Draw],
        grace: Instant,
    ) -> Result<Posted, LedgerError> {
        let mut draft = self.start(event)?;
        for draw in held {
            self.restore(event, draw.lot, draw.points, draw.value, grace)?;
            self.change_wallet(event.member, draw.points, minus(draw.points)?, 0)?;
            let (from, to) = (Account::Held(event.member), Account::Wallet(event.member));
            self.transfer(&mut draft, from, to, *draw)?;
        }
        self.fill_debt(&mut draft)?;
        self.finish(draft)
    }

    /// Points that paid come back from the merchant of the event's place, the last used first,
    /// into their lots and at their recorded value; a lot that lapsed meanwhile lives on until
    /// `grace`. Gives back at most what is left of the draws, says how much that was and counts it in
    /// `drawn`. `points` is above zero.
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn give_back(
        &mut self,
        event: &Event,
        drawn: &mut [Drawn],
        points: i64,
        grace: Instant,
    ) -> Result<(Posted, i64), LedgerError> {
        let (by, _) = event.place.ok_or(LedgerError::Missing("place"))?;
        check_some(points)?;
        let mut draft = self.start(event)?;
        let mut left = points;
        for past in drawn.iter_mut().rev() {
            let part = left.min(sub(past.draw.points, past.returned)?);
            if part <= 0 {
                continue;
            }
            let value = value_of_return(&past.draw, past.returned, past.value_returned, part)?;
            self.restore(event, past.draw.lot, part, value, grace)?;
            self.change_wallet(event.member, part, 0, 0)?;
            let from = Account::Accepted {
                by,
                from: past.draw.issuer,
            };
            let back = Draw {
                points: part,
                value,
                ..past.draw
            };
            self.transfer(&mut draft, from, Account::Wallet(event.member), back)?;
            past.returned = add(past.returned, part)?;
            past.value_returned = add(past.value_returned, value)?;
            left = sub(left, part)?;
        }
        self.fill_debt(&mut draft)?;
        Ok((self.finish(draft)?, sub(points, left)?))
    }

    /// Takes points of one lot back to its issuer: from what is left of the lot, then from the
    /// member's other lots, and what she has not got she owes. What lapsed unspent is gone
    /// already and not taken again. `points` is above zero. (settlement.md, example G.)
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn claw(
        &mut self,
        event: &Event,
        lot: LotId,
        points: i64,
    ) -> Result<(Posted, Clawed), LedgerError> {
        check_some(points)?;
        if !self.lots.contains_key(&lot) {
            return Err(LedgerError::Missing("lot"));
        }
        self.lapse(event.member, event.occurred_at, event.actor)?;
        let debt_before = self
            .wallet(event.member)
            .ok_or(LedgerError::Missing("member"))?
            .debt;
        let mut draft = self.start(event)?;
        let row = self.lots.get_mut(&lot).ok_or(LedgerError::Missing("lot"))?;
        row.changed = true;
        let lot = &mut row.value;
        let (issuer, from_left) = (lot.merchant, points.min(lot.remaining));
        let gone = [lot.remaining, lot.expired, lot.clawed, lot.owed];
        let used = gone.into_iter().try_fold(lot.points, sub)?.max(0);
        let from_used = sub(points, from_left)?.min(used);
        let taken = if from_left > 0 {
            Some(lot.take(from_left)?)
        } else {
            None
        };
        lot.clawed = add(lot.clawed, from_left)?;
        lot.owed = add(lot.owed, from_used)?;
        let value = ratio_floor(lot.worth, from_used, lot.points)?;
        let owed = Draw {
            lot: lot.id,
            issuer,
            only_at: lot.only_at,
            earned_at: lot.earned_at,
            points: from_used,
            value,
        };
        if let Some(draw) = taken {
            self.change_wallet(event.member, minus(from_left)?, 0, 0)?;
            let from = Account::Wallet(event.member);
            self.transfer(&mut draft, from, Account::Issued(issuer), draw)?;
        }
        if from_used > 0 {
            self.change_wallet(event.member, 0, 0, from_used)?;
            self.insert_deficit(event, issuer, from_used);
            let from = Account::Deficit(event.member, issuer);
            self.transfer(&mut draft, from, Account::Issued(issuer), owed)?;
            self.fill_debt(&mut draft)?;
        }
        let posted = self.finish(draft)?;
        let debt = self.wallet(event.member).map_or(0, |wallet| wallet.debt);
        let owed = sub(debt, debt_before)?.max(0);
        let taken = sub(add(from_left, from_used)?, owed)?;
        let lapsed = sub(sub(points, from_left)?, from_used)?;
        Ok((
            posted,
            Clawed {
                taken,
                owed,
                lapsed,
            },
        ))
    }

    /// Fills what the draft's member owes from what she has and whom she owes takes, the oldest debt first.
    pub(super) fn fill_debt(&mut self, draft: &mut Draft) -> Result<(), LedgerError> {
        let (member, at) = (draft.event.member, draft.event.occurred_at);
        let mut debts = self.deficits.remove(&member).unwrap_or_default();
        for row in debts.iter_mut().filter(|row| row.value.remaining > 0) {
            let owed = Some(row.value.merchant);
            for draw in self.draw(member, row.value.remaining, at, owed)? {
                row.changed = true;
                row.value.remaining = sub(row.value.remaining, draw.points)?;
                let back = minus(draw.points)?;
                self.change_wallet(member, back, 0, back)?;
                let owed = Account::Deficit(member, row.value.merchant);
                self.transfer(draft, Account::Wallet(member), owed, draw)?;
            }
        }
        self.deficits.insert(member, debts);
        Ok(())
    }

    fn restore(
        &mut self,
        event: &Event,
        lot: LotId,
        points: i64,
        value: i64,
        grace: Instant,
    ) -> Result<(), LedgerError> {
        let row = self.lots.get_mut(&lot).ok_or(LedgerError::Missing("lot"))?;
        row.changed = true;
        row.value.put_back(points, value)?;
        if row
            .value
            .expires_at
            .is_some_and(|end| end <= event.occurred_at)
        {
            row.value.expires_at = Some(grace);
        }
        let lot = row.value.clone();
        self.place_in_order(&lot);
        Ok(())
    }

    /// Puts a debt where the table has it too, by its time: which debt is filled first must not
    /// depend on whether both were made in one transaction or in two.
    fn insert_deficit(&mut self, event: &Event, merchant: MerchantId, points: i64) {
        let id: JournalId = self.new_id();
        let deficit = Deficit {
            id: id.uuid(),
            merchant,
            points,
            remaining: points,
            created_at: event.occurred_at,
        };
        let row = Row {
            value: deficit,
            fresh: true,
            changed: true,
        };
        let debts = self.deficits.entry(event.member).or_default();
        let age = |row: &Row<Deficit>| (row.value.created_at, row.value.id);
        let place = debts.partition_point(|known| age(known) < age(&row));
        debts.insert(place, row);
    }
}

/// Refuses to move nothing, or less.
fn check_some(points: i64) -> Result<(), LedgerError> {
    if points > 0 {
        Ok(())
    } else {
        Err(AmountError::Negative.into())
    }
}
