//! Members: the people who earn and spend, known by a telephone number, a card number or both.
//!
//! Whoever is enrolled has a wallet from the same transaction on. A telephone number is personal:
//! the mall's own people and the member see it whole, a merchant's see it masked, and no error and
//! no log line carries one.

mod leaving;
mod store;

pub use leaving::{Erased, erase, rename};

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use thiserror::Error;

use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{CopyMembers, EnrolMember, ReadMembers},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::MemberId,
        text::{CardNumber, Name, Phone},
        time::Instant,
    },
    ledger,
};

/// A member, as far as the reader may see one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id.
    pub id: MemberId,
    /// What to call the member.
    pub name: Option<Name>,
    /// The telephone number, whole or masked.
    pub phone: Option<SeenPhone>,
    /// The card's number.
    pub card_number: Option<CardNumber>,
    /// Since when.
    pub enrolled_at: Instant,
}

/// A telephone number as far as the reader may see it; [`fmt::Display`] writes just that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenPhone {
    /// All of it, for the mall and for the member.
    Whole(Phone),
    /// `+86138****0271`, for a merchant.
    Masked(String),
}

impl SeenPhone {
    fn within(reach: Reach, phone: Phone) -> Self {
        match reach {
            Reach::Mall | Reach::Member(_) => Self::Whole(phone),
            Reach::Merchant(_) => Self::Masked(phone.masked()),
        }
    }
}

impl fmt::Display for SeenPhone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Whole(phone) => phone.as_str(),
            Self::Masked(text) => text,
        })
    }
}

/// Who is to become a member: at least one of the two numbers.
#[derive(Debug, Clone, Default)]
pub struct Enrolment {
    /// The telephone number, not yet a member's.
    pub phone: Option<Phone>,
    /// The card's number, not yet a member's.
    pub card_number: Option<CardNumber>,
    /// What to call the member.
    pub name: Option<Name>,
}

/// By what a member is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A telephone number.
    Phone(Phone),
    /// A card's number.
    Card(CardNumber),
}

/// Why something about members is refused.
#[derive(Debug, Error)]
pub enum MemberError {
    /// No such member, or not within reach.
    #[error("there is no such member")]
    UnknownMember,
    /// The telephone or card number is a member's; whose, where the asker may know.
    #[error("there is a member with this telephone or card number already")]
    AlreadyMember(Option<MemberId>),
    /// The member has so many points, and nobody said that they may go with the rest.
    #[error("{0} points of the member would lapse unused")]
    PointsLeft(i64),
    /// Neither number.
    #[error("a member needs a telephone number or a card number")]
    NoNumber,
    /// The database.
    #[error(transparent)]
    Db(#[from] db::error::Error),
}

/// A member as the table holds one.
struct Record {
    id: MemberId,
    name: Option<Name>,
    phone: Option<Phone>,
    card_number: Option<CardNumber>,
    enrolled_at: Instant,
}

impl Record {
    /// What of it `reach` sees; nothing of another member.
    fn seen(self, reach: Reach) -> Result<Member, MemberError> {
        if !sees(reach, self.id) {
            return Err(MemberError::UnknownMember);
        }
        Ok(Member {
            id: self.id,
            name: self.name,
            phone: self.phone.map(|phone| SeenPhone::within(reach, phone)),
            card_number: self.card_number,
            enrolled_at: self.enrolled_at,
        })
    }
}

/// Members are the whole mall's, so every merchant of it serves them; a member sees herself.
fn sees(reach: Reach, member: MemberId) -> bool {
    match reach {
        Reach::Mall | Reach::Merchant(_) => true,
        Reach::Member(own) => own == member,
    }
}

/// Makes somebody a member, with an empty wallet.
///
/// # Errors
/// [`MemberError::AlreadyMember`], [`MemberError::NoNumber`]; the transaction goes on after both.
pub async fn enrol(
    tx: &mut Tx,
    grant: &Grant<EnrolMember>,
    new: Enrolment,
) -> Result<Member, MemberError> {
    if new.phone.is_none() && new.card_number.is_none() {
        return Err(MemberError::NoNumber);
    }
    let record = Record {
        id: tx.new_id(),
        name: new.name,
        phone: new.phone,
        card_number: new.card_number,
        enrolled_at: tx.now(),
    };
    if !store::insert(tx, &record).await? {
        let (phone, card) = (record.phone.as_ref(), record.card_number.as_ref());
        let holder = store::holder(tx, phone, card).await?;
        return Err(MemberError::AlreadyMember(
            holder.filter(|id| sees(grant.reach(), *id)),
        ));
    }
    ledger::open_wallets(tx, &[record.id]).await?;
    audit::record(tx, Done::to(Act::MemberEnrolled, record.id)).await?;
    record.seen(grant.reach())
}

/// One member.
///
/// # Errors
/// [`MemberError::UnknownMember`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadMembers>,
    id: MemberId,
) -> Result<Member, MemberError> {
    one(tx, grant.reach(), id).await
}

/// One member, for whoever made somebody that.
///
/// # Errors
/// [`MemberError::UnknownMember`].
pub async fn enrolled(
    tx: &mut ReadTx,
    grant: &Grant<EnrolMember>,
    id: MemberId,
) -> Result<Member, MemberError> {
    one(tx, grant.reach(), id).await
}

/// One member, for whoever takes away what is known of her.
///
/// # Errors
/// [`MemberError::UnknownMember`].
pub async fn copied(
    tx: &mut ReadTx,
    grant: &Grant<CopyMembers>,
    id: MemberId,
) -> Result<Member, MemberError> {
    one(tx, grant.reach(), id).await
}

async fn one(tx: &mut ReadTx, reach: Reach, id: MemberId) -> Result<Member, MemberError> {
    let found = store::by_id(tx, id).await?;
    found.ok_or(MemberError::UnknownMember)?.seen(reach)
}

/// Whether a right to read members reaches this one, if there is one: for what is read of a member
/// elsewhere in one query, which finds out itself that there is none.
///
/// # Errors
/// [`MemberError::UnknownMember`].
pub fn within(grant: &Grant<ReadMembers>, id: MemberId) -> Result<(), MemberError> {
    if sees(grant.reach(), id) {
        Ok(())
    } else {
        Err(MemberError::UnknownMember)
    }
}

/// The member of a telephone or card number.
///
/// # Errors
/// [`MemberError::UnknownMember`].
pub async fn find(
    tx: &mut ReadTx,
    grant: &Grant<ReadMembers>,
    by: &Lookup,
) -> Result<Member, MemberError> {
    let found = match by {
        Lookup::Phone(phone) => store::by_phone(tx, phone).await?,
        Lookup::Card(card) => store::by_card(tx, card).await?,
    };
    found.ok_or(MemberError::UnknownMember)?.seen(grant.reach())
}

/// The members of these cards, unknown ones left out. One query; it sees the whole mall.
///
/// # Errors
/// [`db::error::Error::Unavailable`].
pub async fn by_cards(
    tx: &mut ReadTx,
    cards: &[CardNumber],
) -> Result<HashMap<CardNumber, MemberId>, db::error::Error> {
    store::by_cards(tx, cards).await
}

/// The members of these telephone numbers, unknown ones left out. One query; it sees the whole
/// mall.
///
/// # Errors
/// [`db::error::Error::Unavailable`].
pub async fn by_phones(
    tx: &mut ReadTx,
    phones: &[Phone],
) -> Result<HashMap<Phone, MemberId>, db::error::Error> {
    store::by_phones(tx, phones).await
}

/// How many members the mall has.
///
/// # Errors
/// [`db::error::Error::Unavailable`].
pub async fn count(tx: &mut ReadTx) -> Result<i64, db::error::Error> {
    store::count(tx).await
}

/// The members of these cards, each of which becomes a member now where it was none. Doing it
/// again changes nothing.
///
/// # Errors
/// [`MemberError::Db`].
pub async fn enrol_cards(
    tx: &mut Tx,
    _grant: &Grant<EnrolMember>,
    cards: &[CardNumber],
) -> Result<HashMap<CardNumber, MemberId>, MemberError> {
    let mut all = store::by_cards(tx, cards).await?;
    let mut missing: Vec<&CardNumber> = cards
        .iter()
        .filter(|card| !all.contains_key(card))
        .collect();
    // In order, so that two who enrol the same cards wait for each other and not in a ring.
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(all);
    }
    let rows: Vec<(MemberId, &CardNumber)> =
        missing.iter().map(|card| (tx.new_id(), *card)).collect();
    let enrolled = store::insert_cards(tx, &rows).await?;
    ledger::open_wallets(tx, &enrolled).await?;
    let done = Done::new(Act::MembersEnrolled).is(Field::Made, enrolled.len());
    audit::record(tx, done).await?;
    let enrolled: HashSet<MemberId> = enrolled.into_iter().collect();
    let (ours, theirs): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(id, _)| enrolled.contains(id));
    all.extend(ours.into_iter().map(|(id, card)| (card.clone(), id)));
    if !theirs.is_empty() {
        let theirs: Vec<CardNumber> = theirs.into_iter().map(|(_, card)| card.clone()).collect();
        all.extend(store::by_cards(tx, &theirs).await?);
    }
    Ok(all)
}
