//! What the ledger shows: balances, histories, and what a settlement counts.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Balance, Drawn, Flow, FlowKind, FlowLine, HistoryLine, MOST_LOTS,
    lots::{Draw, Lot},
    store::{LotRow, uuids},
};
use crate::{
    db::{Error, tx::ReadTx},
    kernel::{
        ids::{JournalId, LotId, MemberId, MerchantId, StoreId},
        page::{Page, Slice},
        time::{Instant, Month},
    },
};

pub(super) async fn balance(tx: &mut ReadTx, member: MemberId) -> Result<Option<Balance>, Error> {
    let now = tx.now();
    let wallet = sqlx::query!(
        r#"
        select available, held, debt,
               (select coalesce(sum(remaining), 0)::bigint
                from lot
                where lot.member_id = wallet.member_id and remaining > 0
                  and expires_at <= $2) as "due!"
        from wallet
        where member_id = $1"#,
        member.uuid(),
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(wallet) = wallet else {
        return Ok(None);
    };
    // In spend order, by lot_open_idx.
    let rows = sqlx::query_as!(
        LotRow,
        r#"
        select lot_id as "lot_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _",
               journal_id as "journal_id: _", points, remaining, expired, clawed, owed,
               worth, worth_left, earned_at, expires_at
        from lot
        where member_id = $1 and remaining > 0 and (expires_at > $2 or expires_at is null)
        order by expires_at, earned_at, lot_id
        limit $3"#,
        member.uuid(),
        now,
        MOST_LOTS.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    let most = usize::try_from(MOST_LOTS).unwrap_or(usize::MAX);
    let more_lots = rows.len() > most;
    Ok(Some(Balance {
        available: wallet.available.saturating_sub(wallet.due),
        held: wallet.held,
        owed: wallet.debt,
        lots: rows.into_iter().take(most).map(Lot::from).collect(),
        more_lots,
    }))
}

pub(super) async fn history(
    tx: &mut ReadTx,
    member: MemberId,
    slice: &Slice,
) -> Result<Page<HistoryLine>, Error> {
    let before = slice
        .after
        .as_deref()
        .and_then(|key| key.parse().ok())
        .unwrap_or(i64::MAX);
    // Newest first, by journal_member_seq_key.
    let lines = sqlx::query_as!(
        HistoryLine,
        r#"
        select journal_id as "id: _", seq as "seq!", kind, points, balance_after,
               merchant_id as "merchant: _", store_id as "store: _", source_id as source,
               occurred_at, posted_at, late
        from journal
        where member_id = $1 and seq < $2
        order by seq desc
        limit $3"#,
        member.uuid(),
        before,
        slice.limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Page::from_rows(lines, slice.limit, |line| {
        line.seq.to_string()
    }))
}

pub(super) async fn balances_after(
    tx: &mut ReadTx,
    events: &[JournalId],
) -> Result<HashMap<JournalId, i64>, Error> {
    // At most one row an event, by journal_pkey.
    let rows = sqlx::query!(
        r#"
        select journal_id as "event: JournalId", balance_after
        from journal
        where journal_id = any ($1)"#,
        &uuids(events),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.event, row.balance_after))
        .collect())
}

pub(super) async fn drawn(
    tx: &mut ReadTx,
    causes: &[JournalId],
) -> Result<Vec<(JournalId, Drawn)>, Error> {
    // By transfer_pkey; what came back since by journal_reverses_idx and transfer_pkey.
    let rows = sqlx::query!(
        r#"
        select taken.journal_id as "cause: JournalId", taken.lot_id as "lot!: LotId",
               lot.merchant_id as "issuer: MerchantId", taken.amount, taken.value,
               coalesce(back.amount, 0)::bigint as "returned!",
               coalesce(back.value, 0)::bigint as "value_returned!"
        from transfer as taken
        join lot on lot.lot_id = taken.lot_id
        left join (
            select journal.reverses, transfer.lot_id, sum(transfer.amount) as amount,
                   sum(transfer.value) as value
            from journal
            join transfer on transfer.journal_id = journal.journal_id
            join account on account.account_id = transfer.from_account
            where journal.reverses = any ($1) and account.kind in ('accepted', 'held')
            group by journal.reverses, transfer.lot_id
        ) as back on back.reverses = taken.journal_id and back.lot_id = taken.lot_id
        where taken.journal_id = any ($1)
        order by taken.journal_id, taken.line"#,
        &uuids(causes),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let draw = Draw {
                lot: row.lot,
                issuer: row.issuer,
                points: row.amount,
                value: row.value,
            };
            let (returned, value_returned) = (row.returned, row.value_returned);
            (
                row.cause,
                Drawn {
                    draw,
                    returned,
                    value_returned,
                },
            )
        })
        .collect())
}

pub(super) async fn members_with_due_lots(
    tx: &mut ReadTx,
    at: Instant,
    limit: i64,
) -> Result<Vec<MemberId>, Error> {
    // By lot_due_idx.
    let rows = sqlx::query_scalar!(
        r#"
        select distinct member_id as "member: MemberId"
        from lot
        where remaining > 0 and expires_at <= $1
        limit $2"#,
        at,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

pub(super) async fn flows(tx: &mut ReadTx, month: Month) -> Result<Vec<Flow>, Error> {
    // One pass over the month by transfer_month_idx.
    let rows = sqlx::query!(
        r#"
        select case when source.kind = 'issued' then 'issued'
                    when target.kind = 'issued' then 'taken-back'
                    when source.kind = 'accepted' then 'given-back'
                    else 'accepted' end as "kind!",
               case when source.kind = 'issued' then source.owner_id
                    when target.kind = 'issued' then target.owner_id
                    when source.kind = 'accepted' then source.owner_id
                    when target.kind = 'deficit' then target.partner_id
                    else target.owner_id end as "by!: MerchantId",
               lot.merchant_id as "from: MerchantId",
               sum(transfer.amount)::bigint as "points!",
               sum(transfer.value)::bigint as "value!"
        from transfer
        join account as source on source.account_id = transfer.from_account
        join account as target on target.account_id = transfer.to_account
        join lot on lot.lot_id = transfer.lot_id
        where transfer.posted_in = $1
          and (source.kind in ('issued', 'accepted')
               or target.kind in ('issued', 'accepted', 'deficit'))
        group by 1, 2, 3
        order by 1, 2, 3"#,
        month.first_day(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Flow {
                kind: flow_kind(&row.kind)?,
                by: row.by,
                from: row.from,
                points: row.points,
                value: row.value,
            })
        })
        .collect()
}

fn flow_kind(text: &str) -> Result<FlowKind, Error> {
    match text {
        "issued" => Ok(FlowKind::Issued),
        "taken-back" => Ok(FlowKind::TakenBack),
        "accepted" => Ok(FlowKind::Accepted),
        "given-back" => Ok(FlowKind::GivenBack),
        _ => Err(Error::Corrupt("kind of flow")),
    }
}

pub(super) async fn flow_lines(
    tx: &mut ReadTx,
    month: Month,
    merchant: MerchantId,
    slice: &Slice,
) -> Result<Page<FlowLine>, Error> {
    let (after, after_line) = parse_line_key(slice.after.as_deref());
    // The month by transfer_month_idx, its lines in the order of transfer_pkey.
    let rows = sqlx::query!(
        r#"
        select journal as "journal: JournalId", line, kind as "kind!", by as "by!: MerchantId",
               issuer as "from: MerchantId", amount, value, lot as "lot: LotId", reason, source_id,
               store_id as "store: StoreId", occurred_at, late
        from (
            select transfer.journal_id as journal, transfer.line, transfer.amount, transfer.value,
                   lot.lot_id as lot, lot.merchant_id as issuer, journal.kind as reason,
                   journal.source_id, journal.store_id, journal.occurred_at, journal.late,
                   case when source.kind = 'issued' then 'issued'
                        when target.kind = 'issued' then 'taken-back'
                        when source.kind = 'accepted' then 'given-back'
                        else 'accepted' end as kind,
                   case when source.kind = 'issued' then source.owner_id
                        when target.kind = 'issued' then target.owner_id
                        when source.kind = 'accepted' then source.owner_id
                        when target.kind = 'deficit' then target.partner_id
                        else target.owner_id end as by
            from transfer
            join journal on journal.journal_id = transfer.journal_id
            join account as source on source.account_id = transfer.from_account
            join account as target on target.account_id = transfer.to_account
            join lot on lot.lot_id = transfer.lot_id
            where transfer.posted_in = $1
              and (source.kind in ('issued', 'accepted')
                   or target.kind in ('issued', 'accepted', 'deficit'))
        ) as flow
        where (by = $2 or issuer = $2) and (journal, line) > ($3, $4)
        order by journal, line
        limit $5"#,
        month.first_day(),
        merchant.uuid(),
        after,
        after_line,
        slice.limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    let lines: Result<Vec<FlowLine>, Error> = rows
        .into_iter()
        .map(|row| {
            Ok(FlowLine {
                journal: row.journal,
                line: row.line,
                kind: flow_kind(&row.kind)?,
                by: row.by,
                from: row.from,
                points: row.amount,
                value: row.value,
                lot: row.lot,
                reason: row.reason,
                source: row.source_id,
                store: row.store,
                occurred_at: row.occurred_at,
                late: row.late,
            })
        })
        .collect();
    let key = |line: &FlowLine| format!("{} {}", line.journal.uuid(), line.line);
    Ok(Page::from_rows(lines?, slice.limit, key))
}

fn parse_line_key(key: Option<&str>) -> (Uuid, i32) {
    key.and_then(|key| key.split_once(' '))
        .and_then(|(journal, line)| Some((journal.parse().ok()?, line.parse().ok()?)))
        .unwrap_or((Uuid::nil(), -1))
}
