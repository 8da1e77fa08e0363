//! The tables `credit`, `credit_entry`, `prepaid` and `prepaid_use`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{
    Credit, Entry, EntryKind, Light, Means, Standing, Withheld,
    block::{Block, Taken, Use, Used},
};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{CreditEntryId, MerchantId, PurchaseId, SettlementId},
        time::{Instant, Period},
    },
};

/// Locks the open blocks of these merchants and says what is left of them; by `prepaid_pkey`.
pub(super) async fn lock_open_blocks(
    tx: &mut Tx,
    merchants: &BTreeSet<MerchantId>,
) -> Result<BTreeMap<MerchantId, Vec<Block>>, Error> {
    let ids: Vec<Uuid> = merchants.iter().map(MerchantId::uuid).collect();
    // Where it waited for a row it sees that row as it is now. What was full when it began and was
    // put back meanwhile is not seen, which only a purchase in the same moment could use.
    let rows = sqlx::query!(
        r#"
        select merchant_id as "merchant: MerchantId", block, points - used as "left!"
        from prepaid
        where merchant_id = any ($1) and used < points
        order by merchant_id, block
        for update"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut open: BTreeMap<MerchantId, Vec<Block>> = BTreeMap::new();
    for row in rows {
        let (number, left) = (row.block, row.left);
        let blocks = open.entry(row.merchant).or_default();
        blocks.push(Block { number, left });
    }
    Ok(open)
}

/// Locks the blocks that these purchases took from; by `prepaid_use_purchase_idx`.
pub(super) async fn lock_taken_blocks(tx: &mut Tx, purchases: &[PurchaseId]) -> Result<(), Error> {
    let ids: Vec<Uuid> = purchases.iter().map(PurchaseId::uuid).collect();
    sqlx::query!(
        "select block
         from prepaid
         where (merchant_id, block) in
             (select merchant_id, block from prepaid_use where purchase_id = any ($1))
         order by merchant_id, block
         for update",
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(())
}

/// What these purchases took out of blocks, less what was put back, in the order of the blocks; by
/// `prepaid_use_purchase_idx`.
pub(super) async fn taken(
    tx: &mut ReadTx,
    purchases: &[PurchaseId],
) -> Result<BTreeMap<PurchaseId, Vec<Taken>>, Error> {
    let ids: Vec<Uuid> = purchases.iter().map(PurchaseId::uuid).collect();
    let rows = sqlx::query!(
        r#"
        select purchase_id as "purchase: PurchaseId", block, since,
               sum(points)::bigint as "points!"
        from prepaid_use
        where purchase_id = any ($1)
        group by purchase_id, block, since
        order by purchase_id, block"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut taken: BTreeMap<PurchaseId, Vec<Taken>> = BTreeMap::new();
    for row in rows {
        taken.entry(row.purchase).or_default().push(Taken {
            block: row.block,
            points: row.points,
            since: row.since,
        });
    }
    Ok(taken)
}

/// Writes what was taken out of blocks and put back, and counts it.
pub(super) async fn write_uses(tx: &mut Tx, uses: &[Use]) -> Result<(), Error> {
    let mut sums: BTreeMap<(MerchantId, i32), i64> = BTreeMap::new();
    for one in uses {
        let sum = sums.entry((one.merchant, one.block)).or_default();
        *sum = sum.saturating_add(one.points);
    }
    let sources: Vec<Uuid> = uses.iter().map(|one| one.source).collect();
    let merchants: Vec<Uuid> = uses.iter().map(|one| one.merchant.uuid()).collect();
    let blocks: Vec<i32> = uses.iter().map(|one| one.block).collect();
    let purchases: Vec<Uuid> = uses.iter().map(|one| one.purchase.uuid()).collect();
    let points: Vec<i64> = uses.iter().map(|one| one.points).collect();
    let since: Vec<Instant> = uses.iter().map(|one| one.since).collect();
    let periods: Vec<NaiveDate> = uses.iter().map(|one| one.period.first_day()).collect();
    let whose: Vec<Uuid> = sums.keys().map(|(merchant, _)| merchant.uuid()).collect();
    let which: Vec<i32> = sums.keys().map(|(_, block)| *block).collect();
    let more: Vec<i64> = sums.values().copied().collect();
    sqlx::query!(
        "with noted as (
             insert into prepaid_use (source_id, merchant_id, block, purchase_id, points, since,
                 posted_in)
             select unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::int[]), unnest($4::uuid[]),
                 unnest($5::bigint[]), unnest($6::timestamptz[]), unnest($7::date[]))
         update prepaid
         set used = used + changed.points
         from (select unnest($8::uuid[]) as merchant_id, unnest($9::int[]) as block,
             unnest($10::bigint[]) as points) as changed
         where prepaid.merchant_id = changed.merchant_id and prepaid.block = changed.block",
        &sources,
        &merchants,
        &blocks,
        &purchases,
        &points,
        &since,
        &periods,
        &whose,
        &which,
        &more,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How a period used blocks, in the order of merchants, blocks and terms; by `prepaid_use_month_idx`
/// and, for what was used of the same blocks before, by `prepaid_use_block_idx`.
pub(super) async fn used_in(tx: &mut ReadTx, period: Period) -> Result<Vec<Used>, Error> {
    let rows = sqlx::query!(
        r#"
        select used.merchant_id as "merchant: MerchantId", used.since, used.block,
               prepaid.points as size, prepaid.amount, used.points as "points!",
               coalesce((select sum(earlier.points) from prepaid_use as earlier
                         where earlier.merchant_id = used.merchant_id
                           and earlier.block = used.block and earlier.posted_in < $1), 0)::bigint
                   as "before!"
        from (
            select merchant_id, block, since, sum(points)::bigint as points
            from prepaid_use
            where posted_in = $1
            group by merchant_id, block, since
        ) as used
        join prepaid on prepaid.merchant_id = used.merchant_id and prepaid.block = used.block
        order by used.merchant_id, used.block, used.since"#,
        period.first_day(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Used {
            merchant: row.merchant,
            since: row.since,
            block: row.block,
            size: row.size,
            amount: row.amount,
            before: row.before,
            points: row.points,
        })
        .collect())
}

/// Buys the next block of a merchant, whose row is locked.
pub(super) async fn insert_block(
    tx: &mut Tx,
    merchant: MerchantId,
    points: i64,
    amount: i64,
) -> Result<(), Error> {
    tx.revise().await?;
    let next = sqlx::query_scalar!(
        r#"select coalesce(max(block), 0) + 1 as "next!" from prepaid where merchant_id = $1"#,
        merchant.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    let now = tx.now();
    sqlx::query!(
        "insert into prepaid (merchant_id, block, points, used, amount, bought_at)
         values ($1, $2, $3, 0, $4, $5)",
        merchant.uuid(),
        next,
        points,
        amount,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is left of a merchant's blocks that are not used up, and how large those were; by
/// `prepaid_pkey`.
pub(super) async fn blocks_of(
    tx: &mut ReadTx,
    merchant: MerchantId,
) -> Result<Option<(i64, i64)>, Error> {
    let row = sqlx::query!(
        r#"
        select count(*) as "blocks!",
               coalesce(sum(points - used), 0)::bigint as "left!",
               coalesce(sum(points) filter (where used < points), 0)::bigint as "size!"
        from prepaid
        where merchant_id = $1"#,
        merchant.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.blocks > 0).then_some((row.left, row.size)))
}

struct Row {
    merchant: MerchantId,
    standing: String,
    exit_at: Option<Instant>,
    raised_at: Option<Instant>,
    raised_by: Option<String>,
    declared_at: Option<Instant>,
    declared_by: Option<String>,
    deposit: i64,
    limit: Option<i64>,
    light: String,
    light_since: Instant,
    light_why: String,
    open_worth: i64,
    owed: i64,
    evaluated_at: Option<Instant>,
    withheld: Option<String>,
    withheld_since: Option<Instant>,
}

impl TryFrom<Row> for Credit {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let withheld = match (row.withheld, row.withheld_since) {
            (Some(why), Some(since)) => {
                let why = Withheld::parse(&why).ok_or(Error::Corrupt("withheld"))?;
                Some((why, since))
            }
            _ => None,
        };
        Ok(Self {
            merchant: row.merchant,
            standing: Standing::parse(&row.standing).ok_or(Error::Corrupt("standing"))?,
            exit_at: row.exit_at,
            raised: row.raised_at.zip(row.raised_by),
            declared: row.declared_at.zip(row.declared_by),
            deposit: row.deposit,
            limit: row.limit,
            light: Light::parse(&row.light).ok_or(Error::Corrupt("light"))?,
            light_since: row.light_since,
            light_why: row.light_why,
            open_worth: row.open_worth,
            owed: row.owed,
            evaluated_at: row.evaluated_at,
            withheld,
        })
    }
}

/// How a merchant stands, where anything is known of it.
pub(super) async fn credit(tx: &mut ReadTx, merchant: MerchantId) -> Result<Option<Credit>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select merchant_id as "merchant: _", standing, exit_at, raised_at, raised_by, declared_at,
               declared_by, deposit, credit_limit as "limit", light, light_since, light_why,
               open_worth, owed, evaluated_at, withheld, withheld_since
        from credit
        where merchant_id = $1"#,
        merchant.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Credit::try_from).transpose()
}

/// The row of a merchant, made where there is none, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, merchant: MerchantId) -> Result<Credit, Error> {
    let now = tx.now();
    sqlx::query!(
        "insert into credit (merchant_id, standing, deposit, light, light_since, light_why,
             open_worth, owed)
         values ($1, 'active', 0, 'green', $2, '', 0, 0)
         on conflict (merchant_id) do nothing",
        merchant.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    let row = sqlx::query_as!(
        Row,
        r#"
        select merchant_id as "merchant: _", standing, exit_at, raised_at, raised_by, declared_at,
               declared_by, deposit, credit_limit as "limit", light, light_since, light_why,
               open_worth, owed, evaluated_at, withheld, withheld_since
        from credit
        where merchant_id = $1
        order by merchant_id
        for update"#,
        merchant.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Credit::try_from(row)
}

/// The merchants that have a deposit or a limit, or a light that is not green.
pub(super) async fn watched(tx: &mut ReadTx) -> Result<Vec<MerchantId>, Error> {
    let ids = sqlx::query_scalar!(
        r#"
        select merchant_id as "merchant: MerchantId"
        from credit
        where deposit > 0 or credit_limit is not null or light <> 'green'
        order by merchant_id"#,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}

/// The merchants whose points have ended or are to, with how they stand.
pub(super) async fn over(
    tx: &mut ReadTx,
    now: Instant,
) -> Result<Vec<(MerchantId, Standing)>, Error> {
    let rows = sqlx::query!(
        r#"
        select merchant_id as "merchant: MerchantId", standing
        from credit
        where standing = 'exited' or standing = 'winding_down' and exit_at <= $1
        order by merchant_id"#,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let standing = Standing::parse(&row.standing).ok_or(Error::Corrupt("standing"))?;
            Ok((row.merchant, standing))
        })
        .collect()
}

/// Writes how a merchant stands, whose row is locked. `before` is how it stood: where tills have to
/// know of the difference, they do.
pub(super) async fn update(tx: &mut Tx, before: &Credit, it: &Credit) -> Result<(), Error> {
    if before.withheld != it.withheld {
        tx.revise().await?;
    }
    let (raised_at, raised_by) = it.raised.clone().unzip();
    let (declared_at, declared_by) = it.declared.clone().unzip();
    let (withheld, since) = it.withheld.unzip();
    sqlx::query!(
        "update credit
         set standing = $2, exit_at = $3, raised_at = $4, raised_by = $5, declared_at = $6,
             declared_by = $7, deposit = $8, credit_limit = $9, light = $10, light_since = $11,
             light_why = $12, open_worth = $13, owed = $14, evaluated_at = $15, withheld = $16,
             withheld_since = $17
         where merchant_id = $1",
        it.merchant.uuid(),
        it.standing.as_str(),
        it.exit_at,
        raised_at,
        raised_by,
        declared_at,
        declared_by,
        it.deposit,
        it.limit,
        it.light.as_str(),
        it.light_since,
        it.light_why,
        it.open_worth,
        it.owed,
        it.evaluated_at,
        withheld.map(Withheld::as_str),
        since,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct EntryRow {
    id: CreditEntryId,
    merchant: MerchantId,
    kind: String,
    amount: i64,
    points: Option<i64>,
    means: Option<String>,
    reference: String,
    executed_on: Option<NaiveDate>,
    settlement: Option<SettlementId>,
    line: Option<i32>,
    recorded_at: Instant,
    recorded_by: String,
}

impl TryFrom<EntryRow> for Entry {
    type Error = Error;

    fn try_from(row: EntryRow) -> Result<Self, Error> {
        let means = row
            .means
            .map(|text| Means::parse(&text).ok_or(Error::Corrupt("means")));
        Ok(Self {
            id: row.id,
            merchant: row.merchant,
            kind: EntryKind::parse(&row.kind).ok_or(Error::Corrupt("kind of credit entry"))?,
            amount: row.amount,
            points: row.points,
            means: means.transpose()?,
            reference: row.reference,
            executed_on: row.executed_on,
            payment: row.settlement.zip(row.line),
            recorded_at: row.recorded_at,
            recorded_by: row.recorded_by,
        })
    }
}

/// The entry of that name; by `credit_entry_reference_key`.
pub(super) async fn entry(
    tx: &mut ReadTx,
    merchant: MerchantId,
    kind: EntryKind,
    reference: &str,
) -> Result<Option<Entry>, Error> {
    let row = sqlx::query_as!(
        EntryRow,
        r#"
        select credit_entry_id as "id: _", merchant_id as "merchant: _", kind, amount, points,
               means, reference, executed_on, settlement_id as "settlement: _", line,
               recorded_at, recorded_by
        from credit_entry
        where merchant_id = $1 and kind = $2 and reference = $3"#,
        merchant.uuid(),
        kind.as_str(),
        reference,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Entry::try_from).transpose()
}

/// Entries of a merchant before one, the newest first. There are a few a month.
pub(super) async fn entries(
    tx: &mut ReadTx,
    merchant: MerchantId,
    before: CreditEntryId,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query_as!(
        EntryRow,
        r#"
        select credit_entry_id as "id: _", merchant_id as "merchant: _", kind, amount, points,
               means, reference, executed_on, settlement_id as "settlement: _", line,
               recorded_at, recorded_by
        from credit_entry
        where merchant_id = $1 and credit_entry_id < $2
        order by credit_entry_id desc
        limit $3"#,
        merchant.uuid(),
        before.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Entry::try_from).collect()
}

pub(super) async fn insert_entry(tx: &mut Tx, new: &Entry) -> Result<(), Error> {
    sqlx::query!(
        "insert into credit_entry (credit_entry_id, merchant_id, kind, amount, points, means,
             reference, executed_on, settlement_id, line, recorded_at, recorded_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        new.id.uuid(),
        new.merchant.uuid(),
        new.kind.as_str(),
        new.amount,
        new.points,
        new.means.map(Means::as_str),
        new.reference,
        new.executed_on,
        new.payment.map(|(settlement, _)| settlement.uuid()),
        new.payment.map(|(_, line)| line),
        new.recorded_at,
        new.recorded_by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
