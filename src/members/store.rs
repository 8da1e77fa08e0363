//! The table `member`.

use std::collections::HashMap;

use uuid::Uuid;

use super::Record;
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::MemberId,
        text::{CardNumber, Name, Phone},
        time::Instant,
    },
};

struct Row {
    member_id: MemberId,
    name: Option<String>,
    phone: Option<String>,
    card_number: Option<String>,
    enrolled_at: Instant,
}

impl TryFrom<Row> for Record {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let name = row.name.map(|text| text.parse()).transpose();
        Ok(Self {
            id: row.member_id,
            name: name.map_err(|_| Error::Corrupt("member name"))?,
            phone: row.phone.as_deref().map(phone).transpose()?,
            card_number: row.card_number.as_deref().map(card).transpose()?,
            enrolled_at: row.enrolled_at,
        })
    }
}

/// A stored number begins with `+`, so no calling code goes before it.
fn phone(text: &str) -> Result<Phone, Error> {
    Phone::parse(text, "").map_err(|_| Error::Corrupt("member phone"))
}

fn card(text: &str) -> Result<CardNumber, Error> {
    text.parse().map_err(|_| Error::Corrupt("member card"))
}

/// Whether both numbers were free.
pub(super) async fn insert(tx: &mut Tx, new: &Record) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into member (member_id, name, phone, card_number, enrolled_at)
         values ($1, $2, $3, $4, $5)
         on conflict do nothing",
        new.id.uuid(),
        new.name.as_ref().map(Name::as_str),
        new.phone.as_ref().map(Phone::as_str),
        new.card_number.as_ref().map(CardNumber::as_str),
        new.enrolled_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Who has one of these numbers, the telephone's first. By `member_phone_key`, `member_card_key`.
pub(super) async fn holder(
    tx: &mut Tx,
    phone: Option<&Phone>,
    card: Option<&CardNumber>,
) -> Result<Option<MemberId>, Error> {
    let found = sqlx::query_scalar!(
        r#"select member_id as "member_id: MemberId"
           from member
           where phone = $1 or card_number = $2
           order by phone is not distinct from $1 desc
           limit 1"#,
        phone.map(Phone::as_str),
        card.map(CardNumber::as_str),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found)
}

/// By `member_pkey`.
pub(super) async fn by_id(tx: &mut ReadTx, id: MemberId) -> Result<Option<Record>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select member_id as "member_id: MemberId", name, phone, card_number, enrolled_at
           from member
           where member_id = $1 and erased_at is null"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Record::try_from).transpose()
}

/// By `member_phone_key`.
pub(super) async fn by_phone(tx: &mut ReadTx, phone: &Phone) -> Result<Option<Record>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select member_id as "member_id: MemberId", name, phone, card_number, enrolled_at
           from member
           where phone = $1"#,
        phone.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Record::try_from).transpose()
}

/// By `member_card_key`.
pub(super) async fn by_card(tx: &mut ReadTx, card: &CardNumber) -> Result<Option<Record>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select member_id as "member_id: MemberId", name, phone, card_number, enrolled_at
           from member
           where card_number = $1"#,
        card.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Record::try_from).transpose()
}

/// At most one row a card, by `member_card_key`.
pub(super) async fn by_cards(
    tx: &mut ReadTx,
    cards: &[CardNumber],
) -> Result<HashMap<CardNumber, MemberId>, Error> {
    let cards: Vec<String> = cards.iter().map(|card| card.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select member_id as "member_id: MemberId", card_number as "card_number!"
           from member
           where card_number = any ($1)"#,
        &cards,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((card(&row.card_number)?, row.member_id)))
        .collect()
}

/// At most one row a number, by `member_phone_key`.
pub(super) async fn by_phones(
    tx: &mut ReadTx,
    phones: &[Phone],
) -> Result<HashMap<Phone, MemberId>, Error> {
    let phones: Vec<String> = phones
        .iter()
        .map(|phone| phone.as_str().to_owned())
        .collect();
    let rows = sqlx::query!(
        r#"select member_id as "member_id: MemberId", phone as "phone!"
           from member
           where phone = any ($1)"#,
        &phones,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((phone(&row.phone)?, row.member_id)))
        .collect()
}

/// The ids of those that are members from now on.
pub(super) async fn insert_cards(
    tx: &mut Tx,
    rows: &[(MemberId, &CardNumber)],
) -> Result<Vec<MemberId>, Error> {
    let now = tx.now();
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| id.uuid()).collect();
    let cards: Vec<String> = rows
        .iter()
        .map(|(_, card)| card.as_str().to_owned())
        .collect();
    let enrolled = sqlx::query_scalar!(
        r#"insert into member (member_id, card_number, enrolled_at)
           select new.member_id, new.card_number, $3
           from unnest($1::uuid[], $2::text[]) as new (member_id, card_number)
           on conflict (card_number) do nothing
           returning member_id as "member_id: MemberId""#,
        &ids,
        &cards,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(enrolled)
}

/// How many members there are.
pub(super) async fn count(tx: &mut ReadTx) -> Result<i64, Error> {
    let counted =
        sqlx::query_scalar!(r#"select count(1) as "count!" from member where erased_at is null"#)
            .fetch_one(tx.conn())
            .await?;
    Ok(counted)
}

/// Whether there is such a member, by `member_pkey`.
pub(super) async fn rename(tx: &mut Tx, id: MemberId, name: Option<&Name>) -> Result<bool, Error> {
    let renamed = sqlx::query!(
        "update member set name = $2 where member_id = $1 and erased_at is null",
        id.uuid(),
        name.map(Name::as_str),
    )
    .execute(tx.conn())
    .await?;
    Ok(renamed.rows_affected() == 1)
}

/// A member whom nobody else changes until the transaction ends: the telephone number, and since when
/// there is none any more. By `member_pkey`.
pub(super) async fn lock(
    tx: &mut Tx,
    id: MemberId,
) -> Result<Option<(Option<Phone>, Option<Instant>)>, Error> {
    let row = sqlx::query!(
        r#"select phone, erased_at as "erased_at: Instant"
           from member
           where member_id = $1
           order by member_id
           for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let number = row.phone.as_deref().map(phone).transpose()?;
    Ok(Some((number, row.erased_at)))
}

pub(super) async fn erase(tx: &mut Tx, id: MemberId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update member set name = null, phone = null, card_number = null, erased_at = $2
         where member_id = $1",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
