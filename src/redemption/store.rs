//! The tables `good`, `good_offer` and `redemption`.
#![expect(
    clippy::as_conversions,
    reason = "tells checked queries of arrays with nulls"
)]

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{
    code::ClaimCode,
    goods::{Good, GoodListing},
    reservations::{Record, Redemption, Span, State},
    search::{self, Search},
};
use crate::{
    db::{
        Error,
        tenants::{names_from_json, names_to_json},
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{GoodId, Id, JournalId, MemberId, MerchantId, RedemptionId, StoreId},
        text::Code,
        time::Instant,
    },
};

struct GoodRow {
    good_id: GoodId,
    code: String,
    names: serde_json::Value,
    kind: String,
    points: i64,
    stock: i64,
    per_member_day: Option<i64>,
    per_member_month: Option<i64>,
    offered_by: Vec<MerchantId>,
    created_at: Instant,
}

impl TryFrom<GoodRow> for Good {
    type Error = Error;

    fn try_from(row: GoodRow) -> Result<Self, Error> {
        let kind = row.kind.parse();
        Ok(Self {
            id: row.good_id,
            code: code(&row.code)?,
            names: names_from_json(&row.names)?,
            kind: kind.map_err(|_| Error::Corrupt("good kind"))?,
            points: row.points,
            stock: row.stock,
            per_member_day: row.per_member_day,
            per_member_month: row.per_member_month,
            offered_by: row.offered_by,
            created_at: row.created_at,
        })
    }
}

/// One good; who offers it by `good_offer_pkey`.
pub(super) async fn good(tx: &mut ReadTx, id: GoodId) -> Result<Option<Good>, Error> {
    let row = sqlx::query_as!(
        GoodRow,
        r#"select good_id as "good_id: _", code, names, kind, points, stock, per_member_day,
                  per_member_month, created_at,
                  array(select merchant_id from good_offer
                        where good_offer.good_id = good.good_id
                        order by merchant_id) as "offered_by!: Vec<MerchantId>"
           from good
           where good_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Good::try_from).transpose()
}

/// Goods by code. Index: `good_code_key`; who offers them by `good_offer_pkey`.
pub(super) async fn goods(
    tx: &mut ReadTx,
    after: Option<&Code>,
    limit: i64,
) -> Result<Vec<Good>, Error> {
    let rows = sqlx::query_as!(
        GoodRow,
        r#"select good_id as "good_id: _", code, names, kind, points, stock, per_member_day,
                  per_member_month, created_at,
                  array(select merchant_id from good_offer
                        where good_offer.good_id = good.good_id
                        order by merchant_id) as "offered_by!: Vec<MerchantId>"
           from good
           where code > $1
           order by code
           limit $2"#,
        after.map_or("", Code::as_str),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Good::try_from).collect()
}

/// Goods by code that have every word of `search` in their names or code: what is rare by
/// `good_search_idx`, what is common along `good_code_key`; who offers them by `good_offer_pkey`.
pub(super) async fn found_goods(
    tx: &mut ReadTx,
    search: &Search,
    after: Option<&Code>,
    limit: i64,
) -> Result<Vec<Good>, Error> {
    // Which index is right depends on the words, so that a plan for any words would be wrong for
    // some: of 100,000 goods a rare word takes 90 ms along the codes and less than one by its
    // pieces, a common one 45 ms by its pieces and less than one along the codes.
    sqlx::raw_sql("set local plan_cache_mode = force_custom_plan")
        .execute(tx.conn())
        .await?;
    let rows = sqlx::query_as!(
        GoodRow,
        r#"select good_id as "good_id: _", code, names, kind, points, stock, per_member_day,
                  per_member_month, created_at,
                  array(select merchant_id from good_offer
                        where good_offer.good_id = good.good_id
                        order by merchant_id) as "offered_by!: Vec<MerchantId>"
           from good
           where search_pieces @> $1 and search_text like all ($2) and code > $3
           order by code
           limit $4"#,
        &search.pieces(),
        &search.patterns(),
        after.map_or("", Code::as_str),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Good::try_from).collect()
}

/// Whether that merchant offers the good, by `good_offer_pkey`.
pub(super) async fn offers(
    tx: &mut ReadTx,
    good: GoodId,
    merchant: MerchantId,
) -> Result<bool, Error> {
    let offers = sqlx::query_scalar!(
        r#"select exists (
               select from good_offer
               where good_id = $1 and merchant_id = $2
           ) as "offers!""#,
        good.uuid(),
        merchant.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(offers)
}

/// Whether the code was free.
pub(super) async fn insert_good(tx: &mut Tx, id: GoodId, new: &GoodListing) -> Result<bool, Error> {
    let now = tx.now();
    let text = search::text_of(new);
    let inserted = sqlx::query!(
        "insert into good (good_id, code, names, kind, points, stock, per_member_day,
             per_member_month, created_at, changed_at, search_text, search_pieces)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11)
         on conflict (code) do nothing",
        id.uuid(),
        new.code.as_str(),
        names_to_json(&new.names),
        new.kind.as_str(),
        new.points,
        new.stock,
        new.per_member_day,
        new.per_member_month,
        now,
        text,
        &search::pieces_of(&text),
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The ids of those that were created or changed; what is in stock is written only at first.
pub(super) async fn upsert_goods(
    tx: &mut Tx,
    rows: &[(GoodId, &GoodListing)],
) -> Result<Vec<GoodId>, Error> {
    let now = tx.now();
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| id.uuid()).collect();
    let names: Vec<serde_json::Value> = rows
        .iter()
        .map(|(_, listing)| names_to_json(&listing.names))
        .collect();
    let kinds: Vec<String> = rows
        .iter()
        .map(|(_, listing)| listing.kind.as_str().to_owned())
        .collect();
    let points: Vec<i64> = rows.iter().map(|(_, listing)| listing.points).collect();
    let stock: Vec<i64> = rows.iter().map(|(_, listing)| listing.stock).collect();
    let limits = |of: fn(&GoodListing) -> Option<i64>| -> Vec<Option<i64>> {
        rows.iter().map(|(_, listing)| of(listing)).collect()
    };
    let texts: Vec<String> = rows
        .iter()
        .map(|(_, listing)| search::text_of(listing))
        .collect();
    // An array of arrays would have to be a rectangle.
    let pieces: Vec<String> = texts
        .iter()
        .map(|text| search::pieces_of(text).join(" "))
        .collect();
    let touched = sqlx::query_scalar!(
        r#"insert into good (good_id, code, names, kind, points, stock, per_member_day,
               per_member_month, created_at, changed_at, search_text, search_pieces)
           select good_id, code, names, kind, points, stock, per_member_day, per_member_month,
               $9, $9, search_text, string_to_array(search_pieces, ' ')
           from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[], $5::bigint[],
               $6::bigint[], $7::bigint[], $8::bigint[], $10::text[], $11::text[])
               as listed (good_id, code, names, kind, points, stock, per_member_day,
               per_member_month, search_text, search_pieces)
           order by code
           on conflict (code) do update
           set names = excluded.names, kind = excluded.kind, points = excluded.points,
               per_member_day = excluded.per_member_day,
               per_member_month = excluded.per_member_month, changed_at = excluded.changed_at,
               search_text = excluded.search_text, search_pieces = excluded.search_pieces
           where (good.names, good.kind, good.points, good.per_member_day, good.per_member_month,
               good.search_text)
               is distinct from (excluded.names, excluded.kind, excluded.points,
               excluded.per_member_day, excluded.per_member_month, excluded.search_text)
           returning good_id as "good_id: GoodId""#,
        &ids,
        &codes(rows),
        &names,
        &kinds,
        &points,
        &stock,
        &limits(|listing| listing.per_member_day) as &[Option<i64>],
        &limits(|listing| listing.per_member_month) as &[Option<i64>],
        now,
        &texts,
        &pieces,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(touched)
}

/// At most one row a code, by `good_code_key`.
pub(super) async fn goods_by_code(
    tx: &mut Tx,
    rows: &[(GoodId, &GoodListing)],
) -> Result<HashMap<Code, GoodId>, Error> {
    let rows = sqlx::query!(
        r#"select good_id as "good: GoodId", code
           from good
           where code = any ($1)"#,
        &codes(rows),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((code(&row.code)?, row.good)))
        .collect()
}

/// Takes back what is offered of these goods otherwise than by `pairs`; which goods changed.
pub(super) async fn delete_other_offers(
    tx: &mut Tx,
    goods: &[GoodId],
    pairs: &[(GoodId, MerchantId)],
) -> Result<Vec<GoodId>, Error> {
    let listed: Vec<Uuid> = pairs.iter().map(|(good, _)| good.uuid()).collect();
    let merchants: Vec<Uuid> = pairs.iter().map(|(_, merchant)| merchant.uuid()).collect();
    let changed = sqlx::query_scalar!(
        r#"delete from good_offer
           where good_id = any ($1) and not exists (
               select
               from unnest($2::uuid[], $3::uuid[]) as listed (good_id, merchant_id)
               where listed.good_id = good_offer.good_id
                   and listed.merchant_id = good_offer.merchant_id)
           returning good_id as "good_id: GoodId""#,
        &bits(goods),
        &listed,
        &merchants,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(changed)
}

/// Writes who offers what, where it is not written yet; which goods changed.
pub(super) async fn insert_offers(
    tx: &mut Tx,
    pairs: &[(GoodId, MerchantId)],
) -> Result<Vec<GoodId>, Error> {
    let goods: Vec<Uuid> = pairs.iter().map(|(good, _)| good.uuid()).collect();
    let merchants: Vec<Uuid> = pairs.iter().map(|(_, merchant)| merchant.uuid()).collect();
    let changed = sqlx::query_scalar!(
        r#"insert into good_offer (good_id, merchant_id)
           select good_id, merchant_id
           from unnest($1::uuid[], $2::uuid[]) as listed (good_id, merchant_id)
           on conflict (good_id, merchant_id) do nothing
           returning good_id as "good_id: GoodId""#,
        &goods,
        &merchants,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(changed)
}

/// Takes one; whether there was one.
pub(super) async fn take_from_stock(tx: &mut Tx, good: GoodId) -> Result<bool, Error> {
    let taken = sqlx::query!(
        "update good set stock = stock - 1 where good_id = $1 and stock > 0",
        good.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Puts so many of each back, locked in the order of ids.
pub(super) async fn put_into_stock(
    tx: &mut Tx,
    stock: &BTreeMap<GoodId, i64>,
) -> Result<(), Error> {
    let goods: Vec<Uuid> = stock.keys().map(Id::uuid).collect();
    let more: Vec<i64> = stock.values().copied().collect();
    sqlx::query!(
        "select good_id from good where good_id = any ($1) order by good_id for update",
        &goods,
    )
    .fetch_all(tx.conn())
    .await?;
    sqlx::query!(
        "update good
         set stock = stock + back.more
         from unnest($1::uuid[], $2::bigint[]) as back (good_id, more)
         where good.good_id = back.good_id",
        &goods,
        &more,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct RedemptionRow {
    redemption_id: RedemptionId,
    good_id: GoodId,
    member_id: MemberId,
    journal_id: JournalId,
    points: i64,
    code: String,
    state: String,
    reserved_on: NaiveDate,
    reserved_at: Instant,
    lapses_at: Instant,
    ended_at: Option<Instant>,
    store_id: Option<StoreId>,
}

impl TryFrom<RedemptionRow> for Record {
    type Error = Error;

    fn try_from(row: RedemptionRow) -> Result<Self, Error> {
        let claim: Result<ClaimCode, _> = row.code.parse();
        let shown = Redemption {
            id: row.redemption_id,
            good: row.good_id,
            member: row.member_id,
            points: row.points,
            code: claim.map_err(|_| Error::Corrupt("redemption code"))?,
            state: State::parse(&row.state)?,
            reserved_at: row.reserved_at,
            lapses_at: row.lapses_at,
            ended_at: row.ended_at,
            store: row.store_id,
        };
        Ok(Self {
            shown,
            journal: row.journal_id,
            reserved_on: row.reserved_on,
        })
    }
}

/// Whether the code was free.
pub(super) async fn insert_redemption(tx: &mut Tx, new: &Record) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into redemption (redemption_id, good_id, member_id, journal_id, points, code, state,
             reserved_on, reserved_at, lapses_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (code) do nothing",
        new.shown.id.uuid(),
        new.shown.good.uuid(),
        new.shown.member.uuid(),
        new.journal.uuid(),
        new.shown.points,
        new.shown.code.as_str(),
        new.shown.state.as_str(),
        new.reserved_on,
        new.shown.reserved_at,
        new.shown.lapses_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

pub(super) async fn redemption(tx: &mut ReadTx, id: RedemptionId) -> Result<Option<Record>, Error> {
    let row = sqlx::query_as!(
        RedemptionRow,
        r#"select redemption_id as "redemption_id: _", good_id as "good_id: _",
                  member_id as "member_id: _", journal_id as "journal_id: _", points, code, state,
                  reserved_on, reserved_at, lapses_at, ended_at, store_id as "store_id: _"
           from redemption
           where redemption_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Record::try_from).transpose()
}

pub(super) async fn lock_redemption(
    tx: &mut Tx,
    id: RedemptionId,
) -> Result<Option<Record>, Error> {
    let row = sqlx::query_as!(
        RedemptionRow,
        r#"select redemption_id as "redemption_id: _", good_id as "good_id: _",
                  member_id as "member_id: _", journal_id as "journal_id: _", points, code, state,
                  reserved_on, reserved_at, lapses_at, ended_at, store_id as "store_id: _"
           from redemption
           where redemption_id = $1
           order by redemption_id
           for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Record::try_from).transpose()
}

/// By `redemption_code_key`.
pub(super) async fn lock_by_code(tx: &mut Tx, code: &ClaimCode) -> Result<Option<Record>, Error> {
    let row = sqlx::query_as!(
        RedemptionRow,
        r#"select redemption_id as "redemption_id: _", good_id as "good_id: _",
                  member_id as "member_id: _", journal_id as "journal_id: _", points, code, state,
                  reserved_on, reserved_at, lapses_at, ended_at, store_id as "store_id: _"
           from redemption
           where code = $1
           order by redemption_id
           for update"#,
        code.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Record::try_from).transpose()
}

/// Reservations whose time is over and that nobody holds a lock on, the oldest first, by
/// `redemption_due_idx`.
pub(super) async fn lock_due(tx: &mut Tx, limit: i64) -> Result<Vec<Record>, Error> {
    let now = tx.now();
    let rows = sqlx::query_as!(
        RedemptionRow,
        r#"select redemption_id as "redemption_id: _", good_id as "good_id: _",
                  member_id as "member_id: _", journal_id as "journal_id: _", points, code, state,
                  reserved_on, reserved_at, lapses_at, ended_at, store_id as "store_id: _"
           from redemption
           where state = 'reserved' and lapses_at <= $1
           order by lapses_at, redemption_id
           limit $2
           for update skip locked"#,
        now,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// How many of a good a member has taken in these days: reserved and still waiting, or claimed.
/// By `redemption_member_idx`.
pub(super) async fn count_taken(
    tx: &mut Tx,
    member: MemberId,
    good: GoodId,
    days: Span,
) -> Result<i64, Error> {
    let now = tx.now();
    let taken = sqlx::query_scalar!(
        r#"select count(*) as "taken!"
           from redemption
           where member_id = $1 and good_id = $2 and reserved_on >= $3 and reserved_on < $4
               and (state = 'claimed' or (state = 'reserved' and lapses_at > $5))"#,
        member.uuid(),
        good.uuid(),
        days.from,
        days.to,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(taken)
}

/// Writes what became of reservations that are locked.
pub(super) async fn end(
    tx: &mut Tx,
    redemptions: &[RedemptionId],
    state: State,
    at: Option<StoreId>,
) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update redemption
         set state = $2, ended_at = $3, store_id = $4
         where redemption_id = any ($1)",
        &bits(redemptions),
        state.as_str(),
        now,
        at.map(|store| store.uuid()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn codes(rows: &[(GoodId, &GoodListing)]) -> Vec<String> {
    rows.iter()
        .map(|(_, listing)| listing.code.as_str().to_owned())
        .collect()
}

fn code(text: &str) -> Result<Code, Error> {
    text.parse().map_err(|_| Error::Corrupt("good code"))
}

fn bits<K>(ids: &[Id<K>]) -> Vec<Uuid> {
    ids.iter().map(Id::uuid).collect()
}
