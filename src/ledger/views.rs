//! What the ledger shows: balances, histories, and what a settlement counts.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Balance, Drawn, Earmark, FlowKind, FlowLine, HistoryLine, MOST_LOTS,
    listing::LINES_A_ROW,
    lots::{Draw, Lot},
    store::uuids,
};
use crate::{
    db::{Error, tx::ReadTx},
    kernel::{
        ids::{JournalId, LotId, MemberId, MerchantId, StoreId},
        page::{Page, Slice},
        time::{Instant, Period},
    },
};

#[expect(
    clippy::too_many_lines,
    reason = "one query, and a line for each column of it"
)]
pub(super) async fn balance(
    tx: &mut ReadTx,
    member: MemberId,
    taker: Option<MerchantId>,
) -> Result<Option<Balance>, Error> {
    let now = tx.now();
    // One row a lot, or one without any. The wallet by wallet_pkey; what has lapsed and the lots in
    // spend order by lot_open_idx; what only some merchants take by lot_earmark_idx.
    let rows = sqlx::query!(
        r#"
        select wallet.available, wallet.held, wallet.debt, lapsed.points as "lapsed!",
               lot.lot_id as "lot_id?: LotId", lot.merchant_id as "merchant_id?: MerchantId",
               lot.store_id as "store_id?: StoreId", lot.journal_id as "journal_id?: JournalId",
               lot.points as "points?", lot.remaining as "remaining?", lot.expired as "expired?",
               lot.clawed as "clawed?", lot.owed as "owed?", lot.worth as "worth?",
               lot.worth_left as "worth_left?", lot.earned_at as "earned_at?", lot.expires_at,
               lot.only_at as "only_at: MerchantId",
               earmarked.merchants as "merchants: Vec<MerchantId>", earmarked.points as "earmarks"
        from wallet
        cross join lateral (
            select coalesce(sum(remaining), 0)::bigint as points
            from lot
            where lot.member_id = wallet.member_id and remaining > 0 and expires_at <= $2
        ) as lapsed
        cross join lateral (
            select array_agg(purse.only_at) as merchants, array_agg(purse.points) as points
            from (
                select only_at, sum(remaining)::bigint as points
                from lot
                where lot.member_id = wallet.member_id and remaining > 0 and only_at is not null
                  and (expires_at > $2 or expires_at is null)
                group by only_at
            ) as purse
        ) as earmarked
        left join lateral (
            select lot_id, merchant_id, store_id, journal_id, points, remaining, expired, clawed,
                   owed, worth, worth_left, earned_at, expires_at, only_at
            from lot
            where lot.member_id = $1 and remaining > 0
              and (expires_at > $2 or expires_at is null)
              and ($4::uuid is null or only_at is null or only_at = $4)
            order by expires_at, earned_at, lot_id
            limit $3
        ) as lot on true
        where wallet.member_id = $1
        order by lot.expires_at, lot.earned_at, lot.lot_id"#,
        member.uuid(),
        now,
        MOST_LOTS.saturating_add(1),
        taker.map(|merchant| merchant.uuid()),
    )
    .fetch_all(tx.conn())
    .await?;
    let Some(wallet) = rows.first() else {
        return Ok(None);
    };
    let mut available = wallet.available.saturating_sub(wallet.lapsed);
    let (held, owed) = (wallet.held, wallet.debt);
    let merchants = wallet.merchants.iter().flatten().copied();
    let mut earmarked: Vec<Earmark> = merchants
        .zip(wallet.earmarks.iter().flatten().copied())
        .map(|(merchant, points)| Earmark { merchant, points })
        .collect();
    earmarked.sort_unstable_by_key(|one| one.merchant);
    if let Some(taker) = taker {
        let elsewhere = earmarked.extract_if(.., |one| one.merchant != taker);
        available = elsewhere.fold(available, |left, one| left.saturating_sub(one.points));
    }
    let most = usize::try_from(MOST_LOTS).unwrap_or(usize::MAX);
    let more_lots = rows.len() > most;
    let lots = rows.into_iter().take(most).filter_map(|row| {
        Some(Lot {
            id: row.lot_id?,
            member,
            merchant: row.merchant_id?,
            store: row.store_id?,
            cause: row.journal_id?,
            points: row.points?,
            remaining: row.remaining?,
            expired: row.expired?,
            clawed: row.clawed?,
            owed: row.owed?,
            worth: row.worth?,
            worth_left: row.worth_left?,
            earned_at: row.earned_at?,
            expires_at: row.expires_at,
            only_at: row.only_at,
        })
    });
    Ok(Some(Balance {
        available,
        held,
        owed,
        earmarked,
        lots: lots.collect(),
        more_lots,
    }))
}

pub(super) async fn history(
    tx: &mut ReadTx,
    member: MemberId,
    slice: &Slice,
) -> Result<Option<Page<HistoryLine>>, Error> {
    let before = slice
        .after
        .as_deref()
        .and_then(|key| key.parse().ok())
        .unwrap_or(i64::MAX);
    // One row a line, or one without any. The wallet by wallet_pkey; its lines by
    // journal_member_seq_key, which are numbered without gaps: between two bounds no plan reads more
    // of them than are shown.
    let rows = sqlx::query!(
        r#"
        select line.journal_id as "id?: JournalId", line.seq as "seq?", line.kind as "kind?",
               line.points as "points?", line.balance_after as "balance_after?",
               line.merchant_id as "merchant: MerchantId", line.store_id as "store: StoreId",
               line.source_id as "source?", line.occurred_at as "occurred_at?",
               line.posted_at as "posted_at?", line.late as "late?"
        from wallet
        left join lateral (
            select journal_id, seq, kind, points, balance_after, merchant_id, store_id, source_id,
                   occurred_at, posted_at, late
            from journal
            where journal.member_id = wallet.member_id and seq < $2
              and seq >= least($2, wallet.seq + 1) - $3
            order by seq desc
            limit $3
        ) as line on true
        where wallet.member_id = $1
        order by line.seq desc"#,
        member.uuid(),
        before,
        slice.limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let lines = rows.into_iter().filter_map(|row| {
        Some(HistoryLine {
            id: row.id?,
            seq: row.seq?,
            kind: row.kind?,
            points: row.points?,
            balance_after: row.balance_after?,
            merchant: row.merchant,
            store: row.store,
            source: row.source?,
            occurred_at: row.occurred_at?,
            posted_at: row.posted_at?,
            late: row.late?,
        })
    });
    let page = Page::from_rows(lines.collect(), slice.limit, |line| line.seq.to_string());
    Ok(Some(page))
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
               lot.merchant_id as "issuer: MerchantId", lot.only_at as "only_at: MerchantId",
               lot.earned_at, taken.amount, taken.value,
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
                only_at: row.only_at,
                earned_at: row.earned_at,
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

fn flow_kind(text: &str) -> Result<FlowKind, Error> {
    let kind = FlowKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or(Error::Corrupt("kind of flow"))
}

/// A line as it is selected.
struct FlowRow {
    journal: JournalId,
    line: i32,
    kind: String,
    by: MerchantId,
    from: MerchantId,
    amount: i64,
    value: i64,
    lot: LotId,
    reason: String,
    source_id: Uuid,
    store: Option<StoreId>,
    earned_at: Instant,
    occurred_at: Instant,
    late: bool,
}

impl TryFrom<FlowRow> for FlowLine {
    type Error = Error;

    fn try_from(row: FlowRow) -> Result<Self, Error> {
        Ok(Self {
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
            earned_at: row.earned_at,
            occurred_at: row.occurred_at,
            late: row.late,
        })
    }
}

pub(super) async fn flow_lines(
    tx: &mut ReadTx,
    period: Period,
    merchant: MerchantId,
    slice: &Slice,
) -> Result<Page<FlowLine>, Error> {
    let (after, after_line) = parse_line_key(slice.after.as_deref());
    // Which lines by month_line_pkey, from as many rows as hold enough of them: most hold 64, the last
    // of each step of the listing fewer. Then each by transfer_pkey, journal_pkey, lot_pkey and
    // account_pkey.
    let rows = sqlx::query_as!(
        FlowRow,
        r#"
        with wanted as materialized (
            select entry.journal, entry.line
            from (
                select journals, lines,
                       sum(cardinality(lines)) over (order by last_journal, last_line)
                           - cardinality(lines) as before
                from (
                    select last_journal, last_line, journals, lines
                    from month_line
                    where month = $1 and merchant_id = $2
                      and (last_journal, last_line) > ($3, $4)
                    order by last_journal, last_line
                    limit $5
                ) as part
            ) as part
            cross join lateral unnest(part.journals, part.lines) as entry (journal, line)
            where part.before < $5 + $6 and (entry.journal, entry.line) > ($3, $4)
            order by entry.journal, entry.line
            limit $5
        )
        select transfer.journal_id as "journal: JournalId", transfer.line,
               case when source.kind = 'issued' then 'issued'
                    when target.kind = 'issued' and source.kind = 'deficit' then 'owed'
                    when target.kind = 'issued' then 'taken-back'
                    when target.kind = 'expired' then 'expired'
                    when source.kind = 'accepted' then 'given-back'
                    else 'accepted' end as "kind!",
               case when source.kind in ('issued', 'accepted') then source.owner_id
                    when target.kind = 'deficit' then target.partner_id
                    else target.owner_id end as "by!: MerchantId",
               lot.merchant_id as "from: MerchantId", transfer.amount, transfer.value,
               lot.lot_id as "lot: LotId", journal.kind as reason, journal.source_id,
               journal.store_id as "store: StoreId", lot.earned_at, journal.occurred_at,
               journal.late
        from wanted
        join transfer on transfer.journal_id = wanted.journal and transfer.line = wanted.line
        join journal on journal.journal_id = transfer.journal_id
        join account as source on source.account_id = transfer.from_account
        join account as target on target.account_id = transfer.to_account
        join lot on lot.lot_id = transfer.lot_id
        order by transfer.journal_id, transfer.line"#,
        period.first_day(),
        merchant.uuid(),
        after,
        after_line,
        slice.limit.saturating_add(1),
        LINES_A_ROW,
    )
    .fetch_all(tx.conn())
    .await?;
    let lines: Result<Vec<FlowLine>, Error> = rows.into_iter().map(FlowLine::try_from).collect();
    Ok(Page::from_rows(lines?, slice.limit, line_key))
}

fn line_key(line: &FlowLine) -> String {
    format!("{} {}", line.journal.uuid(), line.line)
}

fn parse_line_key(key: Option<&str>) -> (Uuid, i32) {
    key.and_then(|key| key.split_once(' '))
        .and_then(|(journal, line)| Some((journal.parse().ok()?, line.parse().ok()?)))
        .unwrap_or((Uuid::nil(), -1))
}

pub(super) async fn flow_line(
    tx: &mut ReadTx,
    period: Period,
    journal: JournalId,
    line: i32,
) -> Result<Option<FlowLine>, Error> {
    // At most one row, by transfer_pkey.
    let row = sqlx::query_as!(
        FlowRow,
        r#"
        select transfer.journal_id as "journal: JournalId", transfer.line,
               case when source.kind = 'issued' then 'issued'
                    when target.kind = 'issued' and source.kind = 'deficit' then 'owed'
                    when target.kind = 'issued' then 'taken-back'
                    when target.kind = 'expired' then 'expired'
                    when source.kind = 'accepted' then 'given-back'
                    else 'accepted' end as "kind!",
               case when source.kind in ('issued', 'accepted') then source.owner_id
                    when target.kind = 'deficit' then target.partner_id
                    else target.owner_id end as "by!: MerchantId",
               lot.merchant_id as "from: MerchantId", transfer.amount, transfer.value,
               lot.lot_id as "lot: LotId", journal.kind as reason, journal.source_id,
               journal.store_id as "store: StoreId", lot.earned_at, journal.occurred_at,
               journal.late
        from transfer
        join journal on journal.journal_id = transfer.journal_id
        join account as source on source.account_id = transfer.from_account
        join account as target on target.account_id = transfer.to_account
        join lot on lot.lot_id = transfer.lot_id
        where transfer.journal_id = $1 and transfer.line = $2 and transfer.posted_in = $3
          and (source.kind in ('issued', 'accepted')
               or target.kind in ('issued', 'accepted', 'deficit', 'expired'))"#,
        journal.uuid(),
        line,
        period.first_day(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(FlowLine::try_from).transpose()
}
