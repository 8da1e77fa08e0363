//! A naive ledger to compare the real one with: every point is a coin that lies in one place.
//!
//! Nothing here has a running balance; every figure is counted anew from the coins.

mod coins;
mod figures;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rotunda::{
    authz::actor::Actor,
    kernel::{
        ids::{JournalId, LotId, MemberId, MerchantId, StoreId},
        money::Rate,
        time::Instant,
    },
    ledger::{
        Drawn, LedgerError,
        account::Account,
        books::{Books, Clawed, NewLot, Wallet, Wanted},
        lots::Draw,
        transfer::{Event, Kind},
    },
};
use uuid::Uuid;

pub use figures::LotFigures;

use super::steps::{Op, Step};
use crate::support::books::{NOON, instant};

/// Where a coin lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Wallet,
    Held(usize),
    At { by: MerchantId, spend: usize },
    Filled(MerchantId),
    Expired,
    TakenBack,
}

#[derive(Debug, Clone, Copy)]
struct Coin {
    lot: usize,
    place: Place,
}

#[derive(Debug, Clone)]
struct Grant {
    id: LotId,
    member: MemberId,
    issuer: MerchantId,
    only_at: Option<MerchantId>,
    points: i64,
    owed: i64,
    asked_back: i64,
    earned_at: Instant,
    expires_at: Option<Instant>,
    worth: i64,
    value_out: i64,
}

/// Points that left a wallet together: a spend, or a reservation.
#[derive(Debug, Clone)]
struct Taken {
    journal: JournalId,
    member: MemberId,
    by: Option<(MerchantId, StoreId)>,
    drawn: Vec<Drawn>,
    ended: bool,
}

/// A few members and merchants, and every coin there is.
pub struct World {
    pub members: Vec<MemberId>,
    shops: Vec<(MerchantId, StoreId)>,
    now: Instant,
    seed: u64,
    made: u64,
    grants: Vec<Grant>,
    coins: Vec<Coin>,
    /// Since when, to whom, how many still; the oldest first.
    debts: BTreeMap<MemberId, Vec<(Instant, MerchantId, i64)>>,
    spends: Vec<Taken>,
    holds: Vec<Taken>,
    accounts: BTreeMap<Account, i64>,
    history: BTreeMap<MemberId, (i64, i64)>,
}

impl World {
    /// Three members, three shops, no points; `seed` makes their ids.
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            members: Vec::new(),
            shops: Vec::new(),
            now: instant(NOON),
            seed,
            made: 0,
            grants: Vec::new(),
            coins: Vec::new(),
            debts: BTreeMap::new(),
            spends: Vec::new(),
            holds: Vec::new(),
            accounts: BTreeMap::new(),
            history: BTreeMap::new(),
        };
        for _ in 0..3 {
            let (member, merchant) = (world.uuid(), world.uuid());
            let store = StoreId::from_uuid(world.uuid());
            world.members.push(MemberId::from_uuid(member));
            world.shops.push((MerchantId::from_uuid(merchant), store));
        }
        world
    }

    /// Its shops.
    pub fn shops(&self) -> impl Iterator<Item = MerchantId> {
        self.shops.iter().map(|(merchant, _)| *merchant)
    }

    /// Books that hold these members' empty wallets.
    pub fn empty_wallets(&self, books: &mut Books) {
        for member in &self.members {
            books.add_wallet(*member, Wallet::default());
        }
    }

    /// An id without any order to it.
    fn uuid(&mut self) -> Uuid {
        self.made += 1;
        // Seeds that follow one another begin far apart: one world's ids are never another's.
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mix = |salt: u64| {
            let mut bits = seed ^ (self.made << 8) ^ (salt << 56);
            for _ in 0..3 {
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            }
            bits ^ (bits >> 31)
        };
        Uuid::from_u64_pair(mix(1), mix(2))
    }

    /// What a real transaction would load for these steps.
    pub fn wanted(&self, steps: &[Step]) -> Wanted {
        let mut wanted = Wanted {
            members: self.members.clone(),
            ..Wanted::default()
        };
        let mut at = self.now;
        for step in steps {
            at += step.later();
            wanted.due_by = wanted.due_by.max(at);
            match step.op {
                Op::Spend { .. } | Op::Hold { .. } => {
                    wanted
                        .spenders
                        .push(*pick(&self.members, step.member).unwrap());
                }
                Op::Claw { .. } => {
                    wanted.spenders.extend(&self.members);
                    wanted.lots.extend(self.grants.iter().map(|grant| grant.id));
                }
                Op::GiveBack { .. } | Op::Release { .. } => {
                    let taken = self.spends.iter().chain(&self.holds);
                    let draws = taken.flat_map(|taken| &taken.drawn);
                    wanted.lots.extend(draws.map(|past| past.draw.lot));
                }
                Op::Issue { .. } | Op::Capture { .. } | Op::Lapse => {}
            }
        }
        wanted
    }

    /// Does one step to the coins and to the books, and compares everything.
    pub fn step(&mut self, books: &mut Books, step: &Step) {
        let (entries, transfers) = (books.entries().len(), books.transfers().len());
        let debt_before = self
            .members
            .clone()
            .iter()
            .map(|m| self.debt(*m))
            .sum::<i64>();
        self.now += step.later();
        let member = *pick(&self.members, step.member).unwrap();
        match step.op.clone() {
            Op::Issue {
                shop,
                points,
                rate,
                days,
                only,
            } => {
                let only = only.and_then(|shop| Some(pick(&self.shops, shop)?.0));
                self.issue(books, member, shop, points, rate, days, only);
            }
            Op::Spend { shop, points } => self.spend(books, member, Some(shop), points, None),
            Op::Hold { points, only } => {
                let only = only.and_then(|shop| Some(pick(&self.shops, shop)?.0));
                self.spend(books, member, None, points, only);
            }
            Op::Capture { hold, shop } => self.capture(books, hold, shop),
            Op::Release { hold } => self.release(books, hold),
            Op::GiveBack { spend, points } => self.give_back(books, spend, points),
            Op::Claw { lot, points } => self.claw(books, lot, points),
            Op::Lapse => {
                let lapsed = books.lapse(member, self.now, Actor::System).unwrap();
                assert_eq!(lapsed, self.lapse(member));
            }
        }
        self.absorb(books, entries, transfers);
        self.check(books);
        let debt = self.members.iter().map(|m| self.debt(*m)).sum::<i64>();
        let claws = matches!(step.op, Op::Claw { .. });
        assert!(claws || debt <= debt_before, "only a clawback makes a debt");
    }

    fn event(&mut self, kind: Kind, member: MemberId, shop: Option<usize>) -> Event {
        Event {
            kind,
            actor: Actor::System,
            member,
            place: shop.and_then(|shop| pick(&self.shops, shop).copied()),
            source: self.uuid(),
            occurred_at: self.now,
            reverses: None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "as many as a grant has sides")]
    fn issue(
        &mut self,
        books: &mut Books,
        member: MemberId,
        shop: usize,
        points: i64,
        rate: (i64, i64),
        days: Option<i64>,
        only_at: Option<MerchantId>,
    ) {
        let event = self.event(Kind::Purchase, member, Some(shop));
        let expires_at = days.map(|days| self.now + TimeDelta::days(days) + TimeDelta::hours(1));
        let new = NewLot {
            points,
            rate: Rate::new(rate.0, rate.1).unwrap(),
            expires_at,
            only_at,
        };
        let (id, _) = books.issue(&event, new).unwrap();
        self.lapse(member);
        self.grants.push(Grant {
            id,
            member,
            issuer: event.place.unwrap().0,
            only_at,
            points,
            owed: 0,
            asked_back: 0,
            earned_at: self.now,
            expires_at,
            worth: points * rate.0 / rate.1,
            value_out: 0,
        });
        let coin = Coin {
            lot: self.grants.len() - 1,
            place: Place::Wallet,
        };
        self.coins.extend((0..points).map(|_| coin));
        self.fill(member);
    }

    /// A spend at a shop, or a reservation at none, which `only` one may take.
    fn spend(
        &mut self,
        books: &mut Books,
        member: MemberId,
        shop: Option<usize>,
        points: i64,
        only: Option<MerchantId>,
    ) {
        let kind = if shop.is_some() {
            Kind::Spend
        } else {
            Kind::Reserve
        };
        let event = self.event(kind, member, shop);
        let taker = event.place.map(|(by, _)| by).or(only);
        let available = self.spendable(member, taker);
        let before = books.transfers().len();
        let posted = match shop {
            Some(_) => books.spend(&event, points),
            None => books.hold(&event, points, taker),
        };
        if points > available {
            assert_eq!(
                posted,
                Err(LedgerError::NotEnoughPoints {
                    available,
                    wanted: points
                })
            );
            assert_eq!(books.transfers().len(), before, "a refusal changes nothing");
            return;
        }
        let journal = posted.unwrap().journal;
        self.lapse(member);
        let place = match event.place {
            Some((by, _)) => Place::At {
                by,
                spend: self.spends.len(),
            },
            None => Place::Held(self.holds.len()),
        };
        let drawn = self.take(member, points, place, taker);
        let taken = Taken {
            journal,
            member,
            by: event.place,
            drawn,
            ended: false,
        };
        let moved = books
            .transfers()
            .iter()
            .filter(|moved| moved.cause == journal);
        let moved: Vec<(LotId, i64)> = moved.map(|moved| (moved.lot, moved.points)).collect();
        let expected = taken
            .drawn
            .iter()
            .map(|past| (past.draw.lot, past.draw.points));
        assert_eq!(
            moved,
            expected.collect::<Vec<_>>(),
            "the same lots in the same order"
        );
        let list = if shop.is_some() {
            &mut self.spends
        } else {
            &mut self.holds
        };
        list.push(taken);
        let taken = list.last_mut().unwrap();
        let of_it = books
            .transfers()
            .iter()
            .filter(|moved| moved.cause == journal);
        for (past, moved) in taken.drawn.iter_mut().zip(of_it) {
            past.draw.value = moved.value;
        }
    }

    fn capture(&mut self, books: &mut Books, hold: usize, shop: usize) {
        let Some(place) = open(&self.holds, hold) else {
            return;
        };
        let member = self.holds[place].member;
        let mut event = self.event(Kind::Claim, member, Some(shop));
        event.reverses = None;
        let points: Vec<Draw> = self.holds[place]
            .drawn
            .iter()
            .map(|past| past.draw)
            .collect();
        let by = event.place.unwrap().0;
        let before = books.transfers().len();
        let captured = books.capture(&event, &points);
        if points
            .iter()
            .any(|draw| draw.only_at.is_some_and(|only| only != by))
        {
            assert_eq!(captured, Err(LedgerError::OnlyElsewhere));
            assert_eq!(books.transfers().len(), before, "a refusal changes nothing");
            return;
        }
        let journal = captured.unwrap().journal;
        self.holds[place].ended = true;
        let to = Place::At {
            by,
            spend: self.spends.len(),
        };
        self.coins
            .iter_mut()
            .filter(|coin| coin.place == Place::Held(place))
            .for_each(|coin| coin.place = to);
        let drawn = self.holds[place].drawn.clone();
        self.spends.push(Taken {
            journal,
            member,
            by: event.place,
            drawn,
            ended: false,
        });
    }

    fn release(&mut self, books: &mut Books, hold: usize) {
        let Some(place) = open(&self.holds, hold) else {
            return;
        };
        let taken = self.holds[place].clone();
        let mut event = self.event(Kind::Cancel, taken.member, None);
        event.reverses = Some(taken.journal);
        let points: Vec<Draw> = taken.drawn.iter().map(|past| past.draw).collect();
        books.release(&event, &points, self.grace()).unwrap();
        for past in &mut self.holds[place].drawn {
            past.returned = past.draw.points;
            past.value_returned = past.draw.value;
        }
        self.holds[place].ended = true;
        for past in &taken.drawn {
            self.restore(past.draw.lot, past.draw.points, Place::Held(place));
        }
        self.fill(taken.member);
    }

    fn give_back(&mut self, books: &mut Books, spend: usize, points: i64) {
        let Some(place) = open(&self.spends, spend) else {
            return;
        };
        let taken = self.spends[place].clone();
        let left: i64 = taken
            .drawn
            .iter()
            .map(|past| past.draw.points - past.returned)
            .sum();
        let mut event = self.event(Kind::SpendReturn, taken.member, None);
        event.place = taken.by;
        event.reverses = Some(taken.journal);
        let mut drawn = taken.drawn.clone();
        let (_, back) = books
            .give_back(&event, &mut drawn, points, self.grace())
            .unwrap();
        assert_eq!(back, points.min(left));
        let mut wanted = back;
        for (was, is) in taken.drawn.iter().zip(&drawn).rev() {
            let part = wanted.min(was.draw.points - was.returned);
            wanted -= part;
            assert_eq!(
                is.returned,
                was.returned + part,
                "the last used comes back first"
            );
            assert!(is.value_returned <= is.draw.value);
            assert!(is.returned < is.draw.points || is.value_returned == is.draw.value);
            if part > 0 {
                let from = Place::At {
                    by: taken.by.unwrap().0,
                    spend: place,
                };
                self.restore(was.draw.lot, part, from);
            }
        }
        self.spends[place].drawn = drawn;
        self.spends[place].ended = back == left;
        self.fill(taken.member);
    }

    fn claw(&mut self, books: &mut Books, lot: usize, points: i64) {
        if self.grants.is_empty() {
            return;
        }
        let place = lot % self.grants.len();
        let grant = self.grants[place].clone();
        let points = points.min(grant.points - grant.asked_back);
        if points == 0 {
            return;
        }
        let event = self.event(Kind::Refund, grant.member, None);
        let (_, clawed) = books.claw(&event, grant.id, points).unwrap();
        self.grants[place].asked_back += points;
        self.lapse(grant.member);
        let owed_before = self.debt(grant.member);
        let mut from_left = 0;
        for coin in self.coins.iter_mut().filter(|coin| coin.lot == place) {
            if from_left < points && coin.place == Place::Wallet {
                coin.place = Place::TakenBack;
                from_left += 1;
            }
        }
        let used = self
            .coins
            .iter()
            .filter(|coin| coin.lot == place && coin.place.is_used());
        let used = (used.count() as i64 - grant.owed).max(0);
        let from_used = used.min(points - from_left);
        if from_used > 0 {
            self.grants[place].owed += from_used;
            let debts = self.debts.entry(grant.member).or_default();
            debts.push((self.now, grant.issuer, from_used));
            debts.sort_by_key(|(since, _, _)| *since);
            self.fill(grant.member);
        }
        let owed = (self.debt(grant.member) - owed_before).max(0);
        let lapsed = points - from_left - from_used;
        assert_eq!(
            clawed,
            Clawed {
                taken: points - lapsed - owed,
                owed,
                lapsed
            }
        );
    }

    fn grace(&self) -> Instant {
        self.now + TimeDelta::days(30)
    }

    fn debt(&self, member: MemberId) -> i64 {
        let debts = self.debts.get(&member);
        debts.map_or(0, |debts| debts.iter().map(|(_, _, left)| left).sum())
    }

    fn count(&self, wanted: impl Fn(&Grant, Place) -> bool) -> i64 {
        let coins = self.coins.iter();
        coins
            .filter(|coin| wanted(&self.grants[coin.lot], coin.place))
            .count() as i64
    }

    fn spendable(&self, member: MemberId, taker: Option<MerchantId>) -> i64 {
        let open = |only_at: Option<MerchantId>| {
            self.count(|grant, place| {
                let its = grant.member == member && grant.only_at == only_at;
                its && place == Place::Wallet && grant.is_open(self.now)
            })
        };
        let only_there = taker.map_or(0, |taker| open(Some(taker)));
        (open(None) - self.debt(member)).max(0) + only_there
    }

    /// Adds the new transfers to the accounts and follows every member's history line by line.
    fn absorb(&mut self, books: &Books, entries: usize, transfers: usize) {
        for moved in &books.transfers()[transfers..] {
            assert!(moved.points > 0 && moved.value >= 0);
            *self.accounts.entry(moved.from).or_default() -= moved.points;
            *self.accounts.entry(moved.to).or_default() += moved.points;
            let grant = self
                .grants
                .iter_mut()
                .find(|grant| grant.id == moved.lot)
                .unwrap();
            match (moved.from, moved.to) {
                (Account::Issued(_), _) => {}
                (Account::Wallet(_), _) => grant.value_out += moved.value,
                (_, Account::Wallet(_)) => grant.value_out -= moved.value,
                _ => {}
            }
        }
        for entry in &books.entries()[entries..] {
            let (seq, balance) = self.history.entry(entry.event.member).or_default();
            assert_eq!(entry.seq, *seq + 1, "no line of a history is missing");
            assert_eq!(entry.balance_after, *balance + entry.points);
            (*seq, *balance) = (entry.seq, entry.balance_after);
        }
    }
}

impl Place {
    fn is_used(self) -> bool {
        matches!(self, Self::Held(_) | Self::At { .. } | Self::Filled(_))
    }
}

impl Grant {
    fn is_open(&self, at: Instant) -> bool {
        self.expires_at.is_none_or(|end| end > at)
    }

    fn is_for(&self, taker: Option<MerchantId>) -> bool {
        self.only_at.is_none() || self.only_at == taker
    }
}

fn pick<T>(list: &[T], raw: usize) -> Option<&T> {
    list.get(raw.checked_rem(list.len())?)
}

/// The place of one that has not ended.
fn open(list: &[Taken], raw: usize) -> Option<usize> {
    let open: Vec<usize> = (0..list.len()).filter(|at| !list[*at].ended).collect();
    pick(&open, raw).copied()
}
