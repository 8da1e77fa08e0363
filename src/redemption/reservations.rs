//! A good's way to a member: reserved, then claimed with its code, given up, or lapsed.
//!
//! Locks are taken in one order everywhere: reservations, then wallets, then the stock of goods.
//! What became of a reservation is decided under its lock, so that of a claim, a cancellation and
//! a lapse at the same moment exactly one happens.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::{
    RedemptionError, Setting,
    code::ClaimCode,
    goods::{self, Good},
    store,
};
use crate::{
    authz::{
        action::{
            Action, CancelRedemption, ClaimGood, LapseRedemptions, ReadRedemptions, ReserveGood,
        },
        actor::{Actor, Reach},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{GoodId, JournalId, MemberId, MerchantId, RedemptionId, StoreId},
        time::{Instant, Month, Zone, next_day},
    },
    ledger::{
        self,
        books::{Books, Wanted},
        lots::Draw,
        transfer::{Event, Kind},
    },
    merchants,
};

/// How often a code that is taken is drawn anew.
const TRIES: u32 = 8;

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for the member.
    Reserved,
    /// The good was handed over.
    Claimed,
    /// It was given up, and the points are back.
    Cancelled,
    /// Nobody came in time, and the points are back.
    Lapsed,
}

impl State {
    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Claimed => "claimed",
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, db::Error> {
        [Self::Reserved, Self::Claimed, Self::Cancelled, Self::Lapsed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(db::Error::Corrupt("redemption state"))
    }
}

/// A good promised to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// Its id.
    pub id: RedemptionId,
    /// What is promised.
    pub good: GoodId,
    /// To whom.
    pub member: MemberId,
    /// For how many points.
    pub points: i64,
    /// What fetches it, once.
    pub code: ClaimCode,
    /// What became of it.
    pub state: State,
    /// Since when.
    pub reserved_at: Instant,
    /// From this moment on it cannot be claimed.
    pub lapses_at: Instant,
    /// When it was claimed, given up, or lapsed.
    pub ended_at: Option<Instant>,
    /// Where it was handed over.
    pub store: Option<StoreId>,
}

/// A reservation as the table holds it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) shown: Redemption,
    /// The ledger's entry that set the points aside.
    pub(super) journal: JournalId,
    /// The mall's day on which it was made, by which limits count.
    pub(super) reserved_on: NaiveDate,
}

/// From a day (included) to another (not included).
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

/// Sets a good aside for a member, with the points that it costs.
///
/// # Errors
/// [`RedemptionError::UnknownGood`], [`RedemptionError::UnknownMember`],
/// [`RedemptionError::NotOffered`] where a merchant's till reserves what others hand over,
/// [`RedemptionError::DayLimit`], [`RedemptionError::MonthLimit`],
/// [`RedemptionError::NotEnoughPoints`], [`RedemptionError::OutOfStock`]. A refusal leaves nothing
/// behind, and the transaction goes on.
pub async fn reserve(
    tx: &mut Tx,
    grant: &Grant<ReserveGood>,
    setting: &Setting,
    good: GoodId,
    member: MemberId,
) -> Result<Redemption, RedemptionError> {
    if let Reach::Member(own) = grant.reach()
        && own != member
    {
        return Err(RedemptionError::UnknownMember);
    }
    let good = goods::by_id(tx, good).await?;
    if !hands_over(grant.reach(), &good.offered_by) {
        return Err(RedemptionError::NotOffered);
    }
    if good.stock == 0 {
        return Err(RedemptionError::OutOfStock);
    }
    let now = tx.now();
    let wanted = Wanted {
        members: vec![member],
        spenders: vec![member],
        lots: Vec::new(),
        due_by: now,
    };
    let mut books = ledger::open_books(tx, setting.zone, &wanted).await?;
    if books.wallet(member).is_none() {
        return Err(RedemptionError::UnknownMember);
    }
    let today = setting.zone.day(now);
    within_limits(tx, &good, member, today).await?;
    let id: RedemptionId = tx.new_id();
    let event = event(Kind::Reserve, grant.actor(), member, id, now);
    let taker = match good.offered_by.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let posted = books.hold(&event, good.points, taker)?;
    if !store::take_from_stock(tx, good.id).await? {
        return Err(RedemptionError::OutOfStock);
    }
    let shown = Redemption {
        id,
        good: good.id,
        member,
        points: good.points,
        code: ClaimCode::new(tx.entropy()),
        state: State::Reserved,
        reserved_at: now,
        lapses_at: setting.terms.lapses_at(now),
        ended_at: None,
        store: None,
    };
    let mut record = Record {
        shown,
        journal: posted.journal,
        reserved_on: today,
    };
    insert(tx, &mut record).await?;
    books.post(tx).await?;
    Ok(record.shown)
}

/// One reservation, within reach: a member's own, a merchant's where it hands the good over.
///
/// # Errors
/// [`RedemptionError::UnknownRedemption`].
pub async fn redemption(
    tx: &mut ReadTx,
    grant: &Grant<ReadRedemptions>,
    id: RedemptionId,
) -> Result<Redemption, RedemptionError> {
    let found = store::redemption(tx, id).await?;
    let record = found.ok_or(RedemptionError::UnknownRedemption)?;
    within(tx, grant, &record.shown).await?;
    Ok(record.shown)
}

/// Hands a good over against its code, at a store of a merchant that offers it. The points that
/// were set aside go to that merchant.
///
/// # Errors
/// [`RedemptionError::UnknownStore`], [`RedemptionError::Suspended`],
/// [`RedemptionError::StoreTakesNoPoints`], [`RedemptionError::UnknownCode`],
/// [`RedemptionError::NotOffered`], [`RedemptionError::AlreadyClaimed`],
/// [`RedemptionError::AlreadyCancelled`], [`RedemptionError::Lapsed`].
pub async fn claim(
    tx: &mut Tx,
    grant: &Grant<ClaimGood>,
    zone: Zone,
    code: &ClaimCode,
    at: StoreId,
) -> Result<Redemption, RedemptionError> {
    let stores = merchants::till_stores(tx, &[at]).await?;
    let place = stores
        .get(&at)
        .filter(|place| grant.covers(place.merchant, place.store))
        .ok_or(RedemptionError::UnknownStore)?;
    if !place.active() {
        return Err(RedemptionError::Suspended);
    }
    if !place.spends {
        return Err(RedemptionError::StoreTakesNoPoints);
    }
    let found = store::lock_by_code(tx, code).await?;
    let record = found.ok_or(RedemptionError::UnknownCode)?;
    if !offered_by(tx, record.shown.good, place.merchant).await? {
        return Err(RedemptionError::NotOffered);
    }
    let now = tx.now();
    still_waits(&record.shown, now)?;
    let held = held(tx, &[record.journal]).await?;
    let wanted = Wanted {
        members: vec![record.shown.member],
        due_by: now,
        ..Wanted::default()
    };
    let mut books = ledger::open_books(tx, zone, &wanted).await?;
    let event = Event {
        place: Some((place.merchant, place.store)),
        ..event(
            Kind::Claim,
            grant.actor(),
            record.shown.member,
            record.shown.id,
            now,
        )
    };
    let draws = held.get(&record.journal).map(Vec::as_slice);
    books.capture(&event, draws.unwrap_or_default())?;
    store::end(tx, &[record.shown.id], State::Claimed, Some(at)).await?;
    books.post(tx).await?;
    Ok(Redemption {
        state: State::Claimed,
        ended_at: Some(now),
        store: Some(at),
        ..record.shown
    })
}

/// Gives a reservation up: its points go back into their lots with their old expiry (a lot that
/// lapsed meanwhile lives on until `grace`), and the good back to stock.
///
/// # Errors
/// [`RedemptionError::UnknownRedemption`], [`RedemptionError::AlreadyClaimed`],
/// [`RedemptionError::AlreadyCancelled`], [`RedemptionError::Lapsed`].
pub async fn cancel(
    tx: &mut Tx,
    grant: &Grant<CancelRedemption>,
    zone: Zone,
    grace: Instant,
    id: RedemptionId,
) -> Result<Redemption, RedemptionError> {
    let found = store::lock_redemption(tx, id).await?;
    let record = found.ok_or(RedemptionError::UnknownRedemption)?;
    within(tx, grant, &record.shown).await?;
    let now = tx.now();
    still_waits(&record.shown, now)?;
    let shown = record.shown.clone();
    give_up(tx, zone, grace, State::Cancelled, &[record]).await?;
    Ok(Redemption {
        state: State::Cancelled,
        ended_at: Some(now),
        ..shown
    })
}

/// Lets at most `limit` reservations lapse whose time is over, the oldest first, and says how many
/// there were. Leaves out what is being claimed or given up at this moment.
///
/// # Errors
/// [`RedemptionError::Db`].
pub async fn lapse_due(
    tx: &mut Tx,
    _grant: &Grant<LapseRedemptions>,
    zone: Zone,
    grace: Instant,
    limit: i64,
) -> Result<usize, RedemptionError> {
    let due = store::lock_due(tx, limit).await?;
    if !due.is_empty() {
        give_up(tx, zone, grace, State::Lapsed, &due).await?;
    }
    Ok(due.len())
}

/// Releases the points of locked reservations, puts the goods back, and writes what became of them.
async fn give_up(
    tx: &mut Tx,
    zone: Zone,
    grace: Instant,
    state: State,
    records: &[Record],
) -> Result<(), RedemptionError> {
    let ending = Ending {
        state,
        actor: tx.actor(),
        at: tx.now(),
        grace,
    };
    let journals: Vec<JournalId> = records.iter().map(|record| record.journal).collect();
    let held = held(tx, &journals).await?;
    let mut members: Vec<MemberId> = records.iter().map(|record| record.shown.member).collect();
    members.sort_unstable();
    members.dedup();
    let wanted = Wanted {
        members: members.clone(),
        // What a member owes is filled from what comes back, and from what is there.
        spenders: members,
        lots: held.values().flatten().map(|draw| draw.lot).collect(),
        due_by: ending.at,
    };
    let mut books = ledger::open_books(tx, zone, &wanted).await?;
    let mut stock: BTreeMap<GoodId, i64> = BTreeMap::new();
    for record in records {
        let draws = held.get(&record.journal).map(Vec::as_slice);
        ending.release(&mut books, record, draws.unwrap_or_default())?;
        let more = stock.entry(record.shown.good).or_default();
        *more = more.saturating_add(1);
    }
    let ids: Vec<RedemptionId> = records.iter().map(|record| record.shown.id).collect();
    store::end(tx, &ids, state, None).await?;
    books.post(tx).await?;
    store::put_into_stock(tx, &stock).await?;
    Ok(())
}

/// How reservations end that give their points back.
struct Ending {
    state: State,
    actor: Actor,
    at: Instant,
    grace: Instant,
}

impl Ending {
    fn release(
        &self,
        books: &mut Books,
        record: &Record,
        held: &[Draw],
    ) -> Result<(), RedemptionError> {
        let kind = match self.state {
            State::Lapsed => Kind::Lapse,
            _ => Kind::Cancel,
        };
        let (member, id) = (record.shown.member, record.shown.id);
        let event = Event {
            reverses: Some(record.journal),
            ..event(kind, self.actor, member, id, self.at)
        };
        // What lapsed and no sweep took yet is gone, and must not live on with what comes back.
        books.lapse(member, self.at, self.actor)?;
        books.release(&event, held, self.grace)?;
        Ok(())
    }
}

fn event(kind: Kind, actor: Actor, member: MemberId, id: RedemptionId, at: Instant) -> Event {
    Event {
        kind,
        actor,
        member,
        place: None,
        source: id.uuid(),
        occurred_at: at,
        reverses: None,
    }
}

/// What each of these entries set aside, lot by lot.
async fn held(
    tx: &mut Tx,
    journals: &[JournalId],
) -> Result<HashMap<JournalId, Vec<Draw>>, db::Error> {
    let mut held: HashMap<JournalId, Vec<Draw>> = HashMap::new();
    for (cause, drawn) in ledger::drawn(tx, journals).await? {
        held.entry(cause).or_default().push(drawn.draw);
    }
    Ok(held)
}

/// Whether a reservation waits for its member at `now`, swept or not.
fn still_waits(redemption: &Redemption, now: Instant) -> Result<(), RedemptionError> {
    match redemption.state {
        State::Claimed => Err(RedemptionError::AlreadyClaimed),
        State::Cancelled => Err(RedemptionError::AlreadyCancelled),
        State::Lapsed => Err(RedemptionError::Lapsed),
        State::Reserved if redemption.lapses_at <= now => Err(RedemptionError::Lapsed),
        State::Reserved => Ok(()),
    }
}

/// Whether what has a right within `reach` hands over what these merchants offer.
fn hands_over(reach: Reach, offered_by: &[MerchantId]) -> bool {
    match reach {
        Reach::Mall | Reach::Member(_) => true,
        Reach::Merchant(own) => offered_by.contains(&own),
    }
}

async fn offered_by(
    tx: &mut ReadTx,
    good: GoodId,
    merchant: MerchantId,
) -> Result<bool, db::Error> {
    store::offers(tx, good, merchant).await
}

/// A reservation that the right does not reach is unknown; so is one that another store handed over to
/// whoever is narrowed to theirs.
async fn within<A: Action>(
    tx: &mut ReadTx,
    grant: &Grant<A>,
    redemption: &Redemption,
) -> Result<(), RedemptionError> {
    let seen = match grant.reach() {
        Reach::Mall => true,
        Reach::Member(own) => own == redemption.member,
        Reach::Merchant(own) => offered_by(tx, redemption.good, own).await?,
    };
    let here = |store| grant.stores().covers(store);
    if seen && redemption.store.is_none_or(here) {
        Ok(())
    } else {
        Err(RedemptionError::UnknownRedemption)
    }
}

/// Whether the member may take one more, counted under the lock of the member's wallet.
async fn within_limits(
    tx: &mut Tx,
    good: &Good,
    member: MemberId,
    today: NaiveDate,
) -> Result<(), RedemptionError> {
    let month = Month::of(today);
    if let Some(most) = good.per_member_day {
        let day = Span {
            from: today,
            to: next_day(today),
        };
        if store::count_taken(tx, member, good.id, day).await? >= most {
            return Err(RedemptionError::DayLimit { most });
        }
    }
    if let Some(most) = good.per_member_month {
        let month = Span {
            from: month.first_day(),
            to: month.next().first_day(),
        };
        if store::count_taken(tx, member, good.id, month).await? >= most {
            return Err(RedemptionError::MonthLimit { most });
        }
    }
    Ok(())
}

/// Writes a reservation under a code that was never given before.
async fn insert(tx: &mut Tx, record: &mut Record) -> Result<(), db::Error> {
    for _ in 0..TRIES {
        if store::insert_redemption(tx, record).await? {
            return Ok(());
        }
        record.shown.code = ClaimCode::new(tx.entropy());
    }
    Err(db::Error::Corrupt("redemption code"))
}
