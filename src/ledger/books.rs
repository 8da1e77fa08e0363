//! The unit of work: members' wallets, lots and debts in memory, and what is to be written.
//!
//! Everything here is pure. [`super::open_books`] fills it from the database under locks, and
//! [`Books::post`] writes it back. Each act checks before it changes: a refusal changes nothing.

use std::collections::{BTreeMap, HashMap};

use super::{
    LedgerError,
    account::Account,
    lots::{Draw, Lot, add, sub},
    transfer::{Entry, Event, Kind, Transfer},
};
use crate::{
    authz::actor::Actor,
    kernel::{
        AmountError,
        ids::{Entropy, Id, JournalId, LotId, MemberId, MerchantId},
        money::Rate,
        points::LARGEST,
        time::{Instant, Period, Zone},
    },
};

/// What has to be loaded for a unit of work.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Whose wallets are locked.
    pub members: Vec<MemberId>,
    /// Whose open lots are needed, because points may go out.
    pub spenders: Vec<MemberId>,
    /// Lots that are needed whether or not anything is left of them.
    pub lots: Vec<LotId>,
    /// The latest moment of the events: lots that lapsed by then are needed too.
    pub due_by: Instant,
}

/// A member's running balances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wallet {
    /// The sum of what is left of the lots.
    pub available: i64,
    /// Promised to reservations.
    pub held: i64,
    /// Owed, because it was spent before it was taken back.
    pub debt: i64,
    /// The number of the last history line.
    pub seq: i64,
}

/// What a member owes to one merchant from one event.
#[derive(Debug, Clone)]
pub struct Deficit {
    /// Its id.
    pub id: uuid::Uuid,
    /// Whom the points are owed to.
    pub merchant: MerchantId,
    /// How many at first.
    pub points: i64,
    /// How many still.
    pub remaining: i64,
    /// Since when: when the event happened that made it, whenever it was reported.
    pub created_at: Instant,
}

/// A row in memory, and what has to become of it in the database.
#[derive(Debug, Clone)]
pub(super) struct Row<T> {
    pub(super) value: T,
    pub(super) fresh: bool,
    pub(super) changed: bool,
}

/// What a lot is granted with.
#[derive(Debug, Clone, Copy)]
pub struct NewLot {
    /// How many points, above zero.
    pub points: i64,
    /// Minor units per point, at which they will settle.
    pub rate: Rate,
    /// The first moment at which they cannot be spent any more; none: never.
    pub expires_at: Option<Instant>,
    /// The only merchant that will take them; none: whoever takes points.
    pub only_at: Option<MerchantId>,
}

/// An event that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// Its id.
    pub journal: JournalId,
    /// The member's balance after it.
    pub balance: i64,
}

/// What taking points back came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clawed {
    /// Taken from what was left of the lot or of other lots.
    pub taken: i64,
    /// Owed by the member.
    pub owed: i64,
    /// Not taken, because they had lapsed unspent.
    pub lapsed: i64,
}

/// The books of some members, for one transaction.
#[derive(Debug)]
pub struct Books {
    zone: Zone,
    open_from: Period,
    now: Instant,
    entropy: Entropy,
    pub(super) wallets: BTreeMap<MemberId, Row<Wallet>>,
    pub(super) lots: BTreeMap<LotId, Row<Lot>>,
    pub(super) deficits: HashMap<MemberId, Vec<Row<Deficit>>>,
    order: HashMap<MemberId, Vec<LotId>>,
    pub(super) entries: Vec<Entry>,
    pub(super) transfers: Vec<Transfer>,
}

/// An entry while its transfers are being made.
pub(super) struct Draft {
    pub(super) id: JournalId,
    pub(super) event: Event,
    posted_in: Period,
    late: bool,
    before: i64,
    lines: i32,
}

impl Books {
    /// Empty books of a mall whose first open period is `open_from`, at `now`; its unit is that of all.
    pub fn new(zone: Zone, open_from: Period, now: Instant, entropy: Entropy) -> Self {
        Self {
            zone,
            open_from,
            now,
            entropy,
            wallets: BTreeMap::new(),
            lots: BTreeMap::new(),
            deficits: HashMap::new(),
            order: HashMap::new(),
            entries: Vec::new(),
            transfers: Vec::new(),
        }
    }

    /// Takes a wallet into the books.
    pub fn add_wallet(&mut self, member: MemberId, wallet: Wallet) {
        self.wallets.insert(
            member,
            Row {
                value: wallet,
                fresh: false,
                changed: false,
            },
        );
    }

    /// Takes a lot into the books.
    pub fn add_lot(&mut self, lot: Lot) {
        self.insert_lot(lot, false);
    }

    /// Takes a debt into the books; the oldest first.
    pub fn add_deficit(&mut self, member: MemberId, deficit: Deficit) {
        let row = Row {
            value: deficit,
            fresh: false,
            changed: false,
        };
        self.deficits.entry(member).or_default().push(row);
    }

    /// The wallet of a member, as it stands after the events so far.
    pub fn wallet(&self, member: MemberId) -> Option<Wallet> {
        self.wallets.get(&member).map(|row| row.value)
    }

    /// A lot, as it stands after the events so far.
    pub fn lot(&self, lot: LotId) -> Option<&Lot> {
        self.lots.get(&lot).map(|row| &row.value)
    }

    /// The events so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The transfers so far.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// What a member can spend with `taker` at that moment: what is left of the lots that all take,
    /// less what she owes, and of those that it alone takes, which no debt to others touches. Without
    /// a taker, of the former alone.
    pub fn spendable(&self, member: MemberId, at: Instant, taker: Option<MerchantId>) -> i64 {
        let debt = self.wallet(member).map_or(0, |wallet| wallet.debt);
        let (mut anywhere, mut only_there) = (0_i64, 0_i64);
        for lot in self.lots_of(member) {
            if lot.is_open(at) && lot.is_for(taker) {
                let sum = match lot.only_at {
                    None => &mut anywhere,
                    Some(_) => &mut only_there,
                };
                *sum = sum.saturating_add(lot.remaining);
            }
        }
        let anywhere = anywhere.saturating_sub(debt).max(0);
        anywhere.saturating_add(only_there)
    }

    /// A member is granted points by the merchant of the event's place, as one lot with the bits
    /// of the event's source as its id. What she owes is filled from them first.
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn issue(&mut self, event: &Event, new: NewLot) -> Result<(LotId, Posted), LedgerError> {
        let (merchant, store) = event.place.ok_or(LedgerError::Missing("place"))?;
        let worth = new.rate.times_floor(new.points)?;
        let wallet = self
            .wallet(event.member)
            .ok_or(LedgerError::Missing("member"))?;
        if new.points <= 0 || add(wallet.available, new.points)? > LARGEST {
            return Err(AmountError::Overflow.into());
        }
        self.lapse(event.member, event.occurred_at, event.actor)?;
        let mut draft = self.start(event)?;
        let lot = Lot {
            id: LotId::from_uuid(event.source),
            member: event.member,
            merchant,
            store,
            cause: draft.id,
            points: new.points,
            remaining: new.points,
            expired: 0,
            clawed: 0,
            owed: 0,
            worth,
            worth_left: worth,
            earned_at: event.occurred_at,
            expires_at: new.expires_at,
            only_at: new.only_at,
        };
        let id = lot.id;
        let all = Draw {
            lot: id,
            issuer: merchant,
            only_at: new.only_at,
            earned_at: lot.earned_at,
            points: new.points,
            value: worth,
        };
        self.insert_lot(lot, true);
        self.change_wallet(event.member, new.points, 0, 0)?;
        self.transfer(
            &mut draft,
            Account::Issued(merchant),
            Account::Wallet(event.member),
            all,
        )?;
        self.fill_debt(&mut draft)?;
        Ok((id, self.finish(draft)?))
    }

    /// A member pays with points at the merchant of the event's place.
    ///
    /// # Errors
    /// [`LedgerError::NotEnoughPoints`].
    pub fn spend(&mut self, event: &Event, points: i64) -> Result<Posted, LedgerError> {
        let (by, _) = event.place.ok_or(LedgerError::Missing("place"))?;
        self.take_out(event, points, Some(by), |draw| Account::Accepted {
            by,
            from: draw.issuer,
        })
    }

    /// A member's points are set aside for a reservation. `taker` is the merchant that will take
    /// them, where no other can; without one, points that only some merchant takes stay where they are.
    ///
    /// # Errors
    /// [`LedgerError::NotEnoughPoints`].
    pub fn hold(
        &mut self,
        event: &Event,
        points: i64,
        taker: Option<MerchantId>,
    ) -> Result<Posted, LedgerError> {
        let member = event.member;
        let posted = self.take_out(event, points, taker, |_| Account::Held(member))?;
        self.change_wallet(member, 0, points, 0)?;
        Ok(posted)
    }

    /// Points that were set aside go to the merchant of the event's place.
    ///
    /// # Errors
    /// [`LedgerError::OnlyElsewhere`], [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn capture(&mut self, event: &Event, held: &[Draw]) -> Result<Posted, LedgerError> {
        let (by, _) = event.place.ok_or(LedgerError::Missing("place"))?;
        if held
            .iter()
            .any(|draw| draw.only_at.is_some_and(|only| only != by))
        {
            return Err(LedgerError::OnlyElsewhere);
        }
        let mut draft = self.start(event)?;
        for draw in held {
            let taker = Account::Accepted {
                by,
                from: draw.issuer,
            };
            self.change_wallet(event.member, 0, minus(draw.points)?, 0)?;
            self.transfer(&mut draft, Account::Held(event.member), taker, *draw)?;
        }
        self.finish(draft)
    }

    /// Lets a member's lots lapse whose last moment was before `at`; an entry for each such moment,
    /// in the name of whoever came upon them.
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn lapse(
        &mut self,
        member: MemberId,
        at: Instant,
        actor: Actor,
    ) -> Result<i64, LedgerError> {
        let mut due: Vec<(Instant, LotId)> = self
            .lots_of(member)
            .filter(|lot| lot.is_due(at))
            .filter_map(|lot| Some((lot.expires_at?, lot.id)))
            .collect();
        due.sort_unstable();
        let mut lapsed = 0;
        for same in due.chunk_by(|one, two| one.0 == two.0) {
            let Some(&(occurred_at, first)) = same.first() else {
                continue;
            };
            let source = first.uuid();
            let event = Event {
                kind: Kind::Expire,
                actor,
                member,
                place: None,
                source,
                occurred_at,
                reverses: None,
            };
            let mut draft = self.start(&event)?;
            for (_, lot) in same {
                let row = self.lots.get_mut(lot).ok_or(LedgerError::Missing("lot"))?;
                row.changed = true;
                let draw = row.value.take(row.value.remaining)?;
                row.value.expired = add(row.value.expired, draw.points)?;
                lapsed = add(lapsed, draw.points)?;
                self.change_wallet(member, minus(draw.points)?, 0, 0)?;
                let gone = Account::Expired(draw.issuer);
                self.transfer(&mut draft, Account::Wallet(member), gone, draw)?;
            }
            self.finish(draft)?;
        }
        Ok(lapsed)
    }

    fn take_out(
        &mut self,
        event: &Event,
        points: i64,
        taker: Option<MerchantId>,
        to: impl Fn(&Draw) -> Account,
    ) -> Result<Posted, LedgerError> {
        let available = self.spendable(event.member, event.occurred_at, taker);
        if points <= 0 {
            return Err(AmountError::Negative.into());
        }
        if points > available {
            return Err(LedgerError::NotEnoughPoints {
                available,
                wanted: points,
            });
        }
        self.lapse(event.member, event.occurred_at, event.actor)?;
        let mut draft = self.start(event)?;
        for draw in self.draw(event.member, points, event.occurred_at, taker)? {
            self.change_wallet(event.member, minus(draw.points)?, 0, 0)?;
            self.transfer(&mut draft, Account::Wallet(event.member), to(&draw), draw)?;
        }
        self.finish(draft)
    }

    /// Takes up to `points` from open lots whose points `taker` takes, in spend order.
    pub(super) fn draw(
        &mut self,
        member: MemberId,
        points: i64,
        at: Instant,
        taker: Option<MerchantId>,
    ) -> Result<Vec<Draw>, LedgerError> {
        let mut left = points;
        let mut draws = Vec::new();
        for id in self.order.get(&member).cloned().unwrap_or_default() {
            let usable = |row: &&mut Row<Lot>| row.value.is_open(at) && row.value.is_for(taker);
            let Some(row) = self.lots.get_mut(&id).filter(usable) else {
                continue;
            };
            if left == 0 {
                break;
            }
            row.changed = true;
            let draw = row.value.take(left.min(row.value.remaining))?;
            left = sub(left, draw.points)?;
            draws.push(draw);
        }
        Ok(draws)
    }

    pub(super) fn start(&self, event: &Event) -> Result<Draft, LedgerError> {
        let wallet = self
            .wallet(event.member)
            .ok_or(LedgerError::Missing("member"))?;
        let period = Period::at(event.occurred_at, self.zone, self.open_from.unit());
        Ok(Draft {
            id: self.new_id(),
            event: event.clone(),
            posted_in: period.max(self.open_from),
            late: period < self.open_from,
            before: sub(wallet.available, wallet.debt)?,
            lines: 0,
        })
    }

    pub(super) fn finish(&mut self, draft: Draft) -> Result<Posted, LedgerError> {
        let row = self.wallets.get_mut(&draft.event.member);
        let row = row.ok_or(LedgerError::Missing("member"))?;
        row.changed = true;
        row.value.seq = add(row.value.seq, 1)?;
        let balance = sub(row.value.available, row.value.debt)?;
        self.entries.push(Entry {
            id: draft.id,
            event: draft.event,
            seq: row.value.seq,
            points: sub(balance, draft.before)?,
            balance_after: balance,
            posted_in: draft.posted_in,
            late: draft.late,
        });
        Ok(Posted {
            journal: draft.id,
            balance,
        })
    }

    pub(super) fn transfer(
        &mut self,
        draft: &mut Draft,
        from: Account,
        to: Account,
        draw: Draw,
    ) -> Result<(), LedgerError> {
        self.transfers.push(Transfer {
            cause: draft.id,
            line: draft.lines,
            from,
            to,
            points: draw.points,
            value: draw.value,
            lot: draw.lot,
            earned_at: draw.earned_at,
            posted_in: draft.posted_in,
        });
        draft.lines = draft.lines.checked_add(1).ok_or(AmountError::Overflow)?;
        Ok(())
    }

    pub(super) fn change_wallet(
        &mut self,
        member: MemberId,
        available: i64,
        held: i64,
        debt: i64,
    ) -> Result<(), LedgerError> {
        let row = self
            .wallets
            .get_mut(&member)
            .ok_or(LedgerError::Missing("member"))?;
        row.changed = true;
        row.value.available = add(row.value.available, available)?;
        row.value.held = add(row.value.held, held)?;
        row.value.debt = add(row.value.debt, debt)?;
        Ok(())
    }

    fn insert_lot(&mut self, lot: Lot, fresh: bool) {
        self.place_in_order(&lot);
        self.lots.insert(
            lot.id,
            Row {
                value: lot,
                fresh,
                changed: fresh,
            },
        );
    }

    /// Puts a lot where it belongs in its member's spend order, once.
    pub(super) fn place_in_order(&mut self, lot: &Lot) {
        let mut order = self.order.remove(&lot.member).unwrap_or_default();
        order.retain(|known| *known != lot.id);
        let earlier = |known: &LotId| {
            self.lot(*known)
                .is_some_and(|known| known.before(lot) == std::cmp::Ordering::Less)
        };
        let place = order.partition_point(earlier);
        order.insert(place, lot.id);
        self.order.insert(lot.member, order);
    }

    pub(super) fn lots_of(&self, member: MemberId) -> impl Iterator<Item = &Lot> {
        let order = self
            .order
            .get(&member)
            .map(Vec::as_slice)
            .unwrap_or_default();
        order.iter().filter_map(|id| self.lot(*id))
    }

    pub(super) fn new_id<K>(&self) -> Id<K> {
        Id::new(self.now, &self.entropy)
    }
}

pub(super) fn minus(amount: i64) -> Result<i64, AmountError> {
    amount.checked_neg().ok_or(AmountError::Overflow)
}
