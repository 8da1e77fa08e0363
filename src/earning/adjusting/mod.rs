//! Points that people of the mall add or take by hand: seldom, with a reason, and above the programme's
//! limit by two of them.
//!
//! What is added is a grant like any other, of the shop whose matter it is, which bears it when it is
//! spent. What is taken ends as if it had lapsed, in the order in which it would have been spent, and
//! never more than the member has: nobody is made to owe by hand.

mod store;

use thiserror::Error;

use super::Setting;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{DecideAdjustment, ProposeAdjustment, ReadAdjustments},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{AdjustmentId, JournalId, MemberId, MerchantId, StoreId},
        page::{CursorError, MOST, Page, Slice},
        time::Instant,
    },
    ledger::{
        self, LedgerError,
        books::{Books, NewLot, Wanted},
        transfer::{Event, Kind},
    },
    merchants::{self, TillStore, agreements},
};

/// Why points are added or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustReason {
    /// The mall is kind.
    Goodwill,
    /// Something was recorded wrongly.
    Correction,
    /// A complaint was right.
    Complaint,
    /// Somebody promised them.
    Promise,
    /// They were got by fraud.
    Fraud,
}

impl AdjustReason {
    const ALL: [Self; 5] = [
        Self::Goodwill,
        Self::Correction,
        Self::Complaint,
        Self::Promise,
        Self::Fraud,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goodwill => "goodwill",
            Self::Correction => "correction",
            Self::Complaint => "complaint",
            Self::Promise => "promise",
            Self::Fraud => "fraud",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// How far an adjustment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustState {
    /// A second person has to decide.
    Proposed,
    /// The points moved.
    Posted,
    /// They never will.
    Rejected,
}

impl AdjustState {
    const ALL: [Self; 3] = [Self::Proposed, Self::Posted, Self::Rejected];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Posted => "posted",
            Self::Rejected => "rejected",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// What somebody wants to add or to take.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Whose points.
    pub member: MemberId,
    /// Which shop's matter it is: its merchant bears what is added.
    pub store: StoreId,
    /// How many: above zero are added, below zero taken.
    pub points: i64,
    /// Why.
    pub reason: AdjustReason,
    /// Why, in words.
    pub note: String,
    /// Where the proof is: the number of a complaint, of a file.
    pub evidence: Option<String>,
}

/// Points that were added or taken by hand, or are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Its id.
    pub id: AdjustmentId,
    /// Whose points.
    pub member: MemberId,
    /// Who bears what is added.
    pub merchant: MerchantId,
    /// Which shop's matter it is.
    pub store: StoreId,
    /// Above zero added, below zero taken.
    pub points: i64,
    /// Why.
    pub reason: AdjustReason,
    /// Why, in words.
    pub note: String,
    /// Where the proof is.
    pub evidence: Option<String>,
    /// How far it is.
    pub state: AdjustState,
    /// When it was proposed.
    pub proposed_at: Instant,
    /// By whom.
    pub proposed_by: String,
    /// When, by whom and why it was decided; where one person was enough, at once by the same.
    pub decided: Option<(Instant, String, Option<String>)>,
    /// The ledger's entry.
    pub journal: Option<JournalId>,
}

/// Why an adjustment is refused.
#[derive(Debug, Error)]
pub enum AdjustError {
    /// No such store.
    #[error("there is no such store")]
    UnknownStore,
    /// A shop that gives no points now, or only such as were paid for in advance.
    #[error("this shop gives no points that could be added: name another one that bears them")]
    GivesNone,
    /// No such member.
    #[error("there is no such member")]
    UnknownMember,
    /// No such adjustment, or none within reach.
    #[error("there is no such adjustment")]
    Unknown,
    /// One that was decided.
    #[error("the adjustment is decided already")]
    Decided,
    /// Who proposed it would decide it as well.
    #[error("who proposed an adjustment does not decide it")]
    NeedsSecondPerson,
    /// The member has fewer points than are to be taken.
    #[error("the member has {available} points, {wanted} were to be taken")]
    NotEnoughPoints {
        /// What there is.
        available: i64,
        /// What was to be taken.
        wanted: i64,
    },
    /// An amount that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<LedgerError> for AdjustError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NotEnoughPoints { available, wanted } => {
                Self::NotEnoughPoints { available, wanted }
            }
            LedgerError::Amount(error) => Self::Amount(error),
            LedgerError::Missing("member") => Self::UnknownMember,
            LedgerError::OnlyElsewhere | LedgerError::Missing(_) => {
                Self::Db(db::Error::Corrupt("adjustment"))
            }
        }
    }
}

/// Adds or takes points, where the programme lets one person do so many for the member in a day; else
/// leaves them for a second person to decide.
///
/// # Errors
/// [`AdjustError::UnknownStore`], [`AdjustError::UnknownMember`], [`AdjustError::GivesNone`],
/// [`AdjustError::NotEnoughPoints`], [`AdjustError::Amount`].
pub async fn propose(
    tx: &mut Tx,
    grant: &Grant<ProposeAdjustment>,
    setting: &Setting,
    proposal: &Proposal,
) -> Result<Adjustment, AdjustError> {
    let place = place(tx, grant.reach(), proposal.store).await?;
    if ledger::balance(tx, proposal.member, None).await?.is_none() {
        return Err(AdjustError::UnknownMember);
    }
    let now = tx.now();
    let mut it = Adjustment {
        id: tx.new_id(),
        member: proposal.member,
        merchant: place.merchant,
        store: proposal.store,
        points: proposal.points,
        reason: proposal.reason,
        note: proposal.note.clone(),
        evidence: proposal.evidence.clone(),
        state: AdjustState::Proposed,
        proposed_at: now,
        proposed_by: tx.actor().to_string(),
        decided: None,
        journal: None,
    };
    let version = setting.at(now).ok_or(AdjustError::UnknownStore)?;
    match alone(tx, setting, &it, version.programme.adjust_alone).await? {
        Some(books) => {
            it.journal = Some(post(tx, setting, books, &place, &it).await?);
            it.state = AdjustState::Posted;
            it.decided = Some((now, it.proposed_by.clone(), None));
        }
        None if proposal.points > 0 => gives(&place, now)?,
        None => {}
    }
    store::insert(tx, &it).await?;
    let done = Done::to(Act::AdjustmentProposed, it.id)
        .is(Field::Member, audit::id(it.member))
        .is(Field::Store, audit::id(it.store))
        .is(Field::Points, it.points)
        .is(Field::Kind, it.reason.as_str())
        .is(Field::State, it.state.as_str());
    audit::record(tx, done.because(&it.note)).await?;
    Ok(it)
}

/// Decides what somebody else proposed; approved, the points move now.
///
/// # Errors
/// [`AdjustError::Unknown`], [`AdjustError::Decided`], [`AdjustError::NeedsSecondPerson`]; as
/// [`propose`].
pub async fn decide(
    tx: &mut Tx,
    grant: &Grant<DecideAdjustment>,
    setting: &Setting,
    id: AdjustmentId,
    approved: bool,
    note: &str,
) -> Result<Adjustment, AdjustError> {
    let found = store::lock(tx, id).await?;
    let covers = |it: &Adjustment| grant.reach().covers(it.merchant);
    let mut it = found.filter(covers).ok_or(AdjustError::Unknown)?;
    if it.state != AdjustState::Proposed {
        return Err(AdjustError::Decided);
    }
    let (now, actor) = (tx.now(), tx.actor().to_string());
    if it.proposed_by == actor {
        return Err(AdjustError::NeedsSecondPerson);
    }
    it.state = AdjustState::Rejected;
    if approved {
        let place = place(tx, grant.reach(), it.store).await?;
        let books = open(tx, setting, it.member).await?;
        it.journal = Some(post(tx, setting, books, &place, &it).await?);
        it.state = AdjustState::Posted;
    }
    it.decided = Some((now, actor, Some(note.to_owned())));
    store::decide(tx, &it).await?;
    let (before, after) = (AdjustState::Proposed.as_str(), it.state.as_str());
    let done = Done::to(Act::AdjustmentDecided, id);
    let done = done.changed(Field::State, before, after).because(note);
    audit::record(tx, done).await?;
    Ok(it)
}

/// Adjustments, the newest first; those of one state where one is named.
///
/// # Errors
/// [`AdjustError::Cursor`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadAdjustments>,
    state: Option<AdjustState>,
    slice: &Slice,
) -> Result<Page<Adjustment>, AdjustError> {
    let before = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => AdjustmentId::from_uuid(uuid::Uuid::max()),
    };
    let limit = slice.limit.clamp(1, MOST);
    let only = grant.reach().merchant();
    let rows = store::before(tx, only, state, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// One of them.
///
/// # Errors
/// [`AdjustError::Unknown`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadAdjustments>,
    id: AdjustmentId,
) -> Result<Adjustment, AdjustError> {
    let found = store::by_id(tx, id).await?;
    let covers = |it: &Adjustment| grant.reach().covers(it.merchant);
    found.filter(covers).ok_or(AdjustError::Unknown)
}

/// The shop, where the right reaches it.
async fn place(tx: &mut Tx, reach: Reach, store: StoreId) -> Result<TillStore, AdjustError> {
    let mut stores = merchants::till_stores(tx, &[store]).await?;
    let found = stores.remove(&store);
    let found = found.filter(|place| reach.covers(place.merchant));
    found.ok_or(AdjustError::UnknownStore)
}

/// That the shop gives points at that moment, and owes for them when they are spent.
fn gives(place: &TillStore, at: Instant) -> Result<(), AdjustError> {
    let gives = place.active() && place.earns && place.withheld_at(at).is_none();
    if gives && place.prepaid_at(at).is_none() {
        Ok(())
    } else {
        Err(AdjustError::GivesNone)
    }
}

/// The member's books, locked, where one person may do this: with what single persons did for the
/// member since the day began, it is at most the limit. So nobody gives much in small parts, nor do two
/// at once.
async fn alone(
    tx: &mut Tx,
    setting: &Setting,
    it: &Adjustment,
    limit: i64,
) -> Result<Option<Books>, AdjustError> {
    let (points, limit) = (it.points.unsigned_abs(), limit.unsigned_abs());
    if points > limit {
        return Ok(None);
    }
    let books = open(tx, setting, it.member).await?;
    let day = setting.zone.day(it.proposed_at);
    let done = store::alone_since(tx, it.member, setting.zone.start_of(day)).await?;
    let all = points.saturating_add(done.unsigned_abs());
    Ok((all <= limit).then_some(books))
}

/// The member's books; nobody else moves the member's points until the transaction ends.
async fn open(tx: &mut Tx, setting: &Setting, member: MemberId) -> Result<Books, AdjustError> {
    let wanted = Wanted {
        members: vec![member],
        spenders: vec![member],
        lots: Vec::new(),
        due_by: tx.now(),
    };
    Ok(ledger::open_books(tx, setting.zone, &wanted).await?)
}

/// Moves the points.
async fn post(
    tx: &mut Tx,
    setting: &Setting,
    mut books: Books,
    place: &TillStore,
    it: &Adjustment,
) -> Result<JournalId, AdjustError> {
    let now = tx.now();
    let event = Event {
        kind: Kind::Adjust,
        actor: tx.actor(),
        member: it.member,
        place: Some((place.merchant, place.store)),
        source: it.id.uuid(),
        occurred_at: now,
        reverses: None,
    };
    let posted = if it.points > 0 {
        gives(place, now)?;
        let version = setting.at(now).ok_or(AdjustError::UnknownStore)?;
        let programme = &version.programme;
        let kept = programme.keeps(place.merchant_code.as_str());
        let lot = NewLot {
            points: it.points,
            rate: agreements::price_at(&place.prices, now).unwrap_or(programme.settles_at),
            expires_at: programme.expiry.end(now, setting.zone),
            only_at: kept.then_some(place.merchant),
        };
        books.issue(&event, lot)?.1
    } else {
        books.deduct(&event, it.points.saturating_neg())?
    };
    books.post(tx).await?;
    Ok(posted.journal)
}
