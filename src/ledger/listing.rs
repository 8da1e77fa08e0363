//! Which transfers stand behind which merchant's statement: written down once a period is cut off, in
//! the order of posting, so that a statement is opened line by line without looking for them. A step
//! costs what its transfers cost, however many there were before, and can be the last for a while.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{
    Listing,
    flows::{Side, Way},
};
use crate::{
    db::{
        Error,
        tx::{ReadTx, Tx},
    },
    kernel::{ids::MerchantId, time::Period},
};

/// How many transfers are read at once: some megabytes, here and on the way.
const BLOCK: i64 = 50_000;

/// How many lines stand in a row of `month_line`: 20 bytes each, and a row stays on its page.
pub(super) const LINES_A_ROW: i64 = 64;

/// Writes down that nothing is listed yet ([`super::begin_listing`]).
pub(super) async fn begin(tx: &mut Tx, period: Period, lines: i64) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "insert into month_listing (month, lines, done, begun_at) values ($1, $2, 0, $3)",
        period.first_day(),
        lines,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How far it is ([`super::listing()`]).
pub(super) async fn of(tx: &mut ReadTx, period: Period) -> Result<Option<Listing>, Error> {
    let row = sqlx::query!(
        "select lines, done, listed_at from month_listing where month = $1",
        period.first_day(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Listing {
        done: row.done,
        all: row.lines,
        complete: row.listed_at.is_some(),
    }))
}

/// Takes a step ([`super::list_on`]).
pub(super) async fn go_on(tx: &mut Tx, period: Period, most: i64) -> Result<Listing, Error> {
    let row = sqlx::query!(
        "select lines, done, listed_at, after_journal, after_line, last_journal
         from month_listing
         where month = $1
         order by month
         for update",
        period.first_day(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let row = row.ok_or(Error::Corrupt("listing that nobody began"))?;
    let mut listing = Listing {
        done: row.done,
        all: row.lines,
        complete: row.listed_at.is_some(),
    };
    if listing.complete {
        return Ok(listing);
    }
    let begun = row.after_journal.zip(row.after_line).zip(row.last_journal);
    let bounds = match begun {
        Some((after, last)) => Some((after, last)),
        None => bounds(tx, period)
            .await?
            .map(|(first, last)| ((first, -1), last)),
    };
    let mut walk = Walk {
        period,
        sides: sides(tx).await?,
        next: bounds,
    };
    let mut lines = Lines::default();
    let mut left = most.max(1);
    while left > 0 {
        let Some(block) = walk.next(tx, left.min(BLOCK)).await? else {
            break;
        };
        left = left.saturating_sub(BLOCK);
        let found = i64::try_from(block.len()).unwrap_or(i64::MAX);
        listing.done = listing.done.saturating_add(found);
        for crossing in &block {
            lines.add(crossing);
        }
    }
    lines.close();
    lines.full.write(tx, period).await?;
    listing.complete = walk.next.is_none();
    remember(tx, &walk, listing).await?;
    Ok(listing)
}

/// Writes down how far a step came.
async fn remember(tx: &mut Tx, walk: &Walk, listing: Listing) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update month_listing
         set done = $2, after_journal = $3, after_line = $4, last_journal = $5, listed_at = $6
         where month = $1",
        walk.period.first_day(),
        listing.done,
        walk.next.map(|((journal, _), _)| journal),
        walk.next.map(|((_, line), _)| line),
        walk.next.map(|(_, last)| last),
        listing.complete.then_some(now) as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The first and the last event of a period; none where nothing moved.
async fn bounds(tx: &mut ReadTx, period: Period) -> Result<Option<(Uuid, Uuid)>, Error> {
    // One pass over the period by transfer_month_idx; identifiers as texts have a least one.
    let bounds = sqlx::query!(
        r#"
        select min(encode(uuid_send(journal_id), 'hex') collate "C")::uuid as first,
               max(encode(uuid_send(journal_id), 'hex') collate "C")::uuid as last
        from transfer
        where posted_in = $1"#,
        period.first_day(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(bounds.first.zip(bounds.last))
}

/// A transfer that a settlement counts.
#[derive(Debug, Clone, Copy)]
struct Crossing {
    journal: Uuid,
    line: i32,
    by: MerchantId,
    from: MerchantId,
}

/// The way through a period.
struct Walk {
    period: Period,
    sides: HashMap<Uuid, Side>,
    /// The transfer behind which the next block begins, and the last event of the period.
    next: Option<((Uuid, i32), Uuid)>,
}

impl Walk {
    /// The crossings of the next block, perhaps none; none at all at the end.
    async fn next(&mut self, tx: &mut ReadTx, most: i64) -> Result<Option<Vec<Crossing>>, Error> {
        let Some(((journal, line), last)) = self.next else {
            return Ok(None);
        };
        // By transfer_pkey. The period is looked at outside, so that no estimate of how much there is
        // of it leads to another way; what does not count moves nothing.
        let block = sqlx::query!(
            r#"
            select coalesce(array_agg(journal_id) filter (where counts), '{}') as "journals!",
                   coalesce(array_agg(line) filter (where counts), '{}') as "lines!",
                   coalesce(array_agg(from_account) filter (where counts), '{}') as "from!",
                   coalesce(array_agg(to_account) filter (where counts), '{}') as "to!",
                   count(*) as "read!",
                   (array_agg(journal_id) filter (where number = $4))[1] as last_journal,
                   (array_agg(line) filter (where number = $4))[1] as last_line
            from (
                select journal_id, line, from_account, to_account,
                       posted_in = $5 and lot_id is not null as counts,
                       row_number() over (order by journal_id, line) as number
                from transfer
                where (journal_id, line) > ($1, $2) and journal_id <= $3
                order by journal_id, line
                limit $4
            ) as block"#,
            journal,
            line,
            last,
            most,
            self.period.first_day(),
        )
        .fetch_one(tx.conn())
        .await?;
        // A block that is not full is the last.
        let end = block.last_journal.zip(block.last_line);
        self.next = end.map(|after| (after, last));
        let keys = block.journals.into_iter().zip(block.lines);
        let ends = block.from.iter().zip(&block.to);
        let ways = keys.zip(ends).map(|(key, (from, to))| {
            let way = Way {
                from: self.sides.get(from).copied(),
                to: self.sides.get(to).copied(),
            };
            (key, way)
        });
        crossings(tx, ways.collect()).await.map(Some)
    }
}

/// The accounts of merchants.
async fn sides(tx: &mut ReadTx) -> Result<HashMap<Uuid, Side>, Error> {
    // Every account is gone through: members have one each, merchants one for each other merchant.
    let kinds = sqlx::query!(
        r#"
        select kind, array_agg(account_id) as "ids!", array_agg(owner_id) as "owners!",
               array_agg(coalesce(partner_id, owner_id)) as "partners!"
        from account
        where kind in ('issued', 'accepted', 'expired', 'deficit')
        group by kind"#
    )
    .fetch_all(tx.conn())
    .await?;
    let mut sides = HashMap::new();
    for row in kinds {
        let parties = row.owners.into_iter().zip(row.partners);
        for (id, (owner, partner)) in row.ids.into_iter().zip(parties) {
            let side = Side::of(Some(&row.kind), Some(owner), Some(partner));
            sides.extend(side.map(|side| (id, side)));
        }
    }
    Ok(sides)
}

/// What of a block is listed, in its order. What fills a debt goes to whom it is owed, whoever had
/// issued it: that only the lot knows.
async fn crossings(tx: &mut ReadTx, ways: Vec<((Uuid, i32), Way)>) -> Result<Vec<Crossing>, Error> {
    let debts = ways
        .iter()
        .filter(|(_, way)| matches!(way.crossing(), Some((_, _, None))));
    let (journals, lines): (Vec<Uuid>, Vec<i32>) = debts.map(|(key, _)| *key).unzip();
    let issuers = if journals.is_empty() {
        HashMap::new()
    } else {
        issuers(tx, &journals, &lines).await?
    };
    let mut found = Vec::with_capacity(ways.len());
    for (key, way) in ways {
        let Some((_, by, issuer)) = way.crossing() else {
            continue;
        };
        let issuer = issuer.or_else(|| issuers.get(&key).copied());
        found.push(Crossing {
            journal: key.0,
            line: key.1,
            by,
            from: issuer.ok_or(Error::Corrupt("lot of a transfer"))?,
        });
    }
    Ok(found)
}

/// Who issued the points of these transfers.
async fn issuers(
    tx: &mut ReadTx,
    journals: &[Uuid],
    lines: &[i32],
) -> Result<HashMap<(Uuid, i32), MerchantId>, Error> {
    // One row each, by transfer_pkey and lot_pkey.
    let rows = sqlx::query!(
        r#"
        select transfer.journal_id, transfer.line, lot.merchant_id as "issuer: MerchantId"
        from (select unnest($1::uuid[]) as journal_id, unnest($2::int[]) as line) as wanted
        join transfer on transfer.journal_id = wanted.journal_id and transfer.line = wanted.line
        join lot on lot.lot_id = transfer.lot_id"#,
        journals,
        lines,
    )
    .fetch_all(tx.conn())
    .await?;
    let each = rows.into_iter();
    Ok(each
        .map(|row| ((row.journal_id, row.line), row.issuer))
        .collect())
}

/// Which transfers concern whom: rows that are full, and each merchant's that is not yet.
#[derive(Default)]
struct Lines {
    full: Rows,
    open: BTreeMap<MerchantId, (Vec<Uuid>, Vec<i32>)>,
}

impl Lines {
    fn add(&mut self, crossing: &Crossing) {
        self.add_for(crossing.by, crossing);
        if crossing.from != crossing.by {
            self.add_for(crossing.from, crossing);
        }
    }

    fn add_for(&mut self, merchant: MerchantId, crossing: &Crossing) {
        let (journals, lines) = self.open.entry(merchant).or_default();
        journals.push(crossing.journal);
        lines.push(crossing.line);
        if i64::try_from(journals.len()).is_ok_and(|lines| lines >= LINES_A_ROW) {
            self.full.push(merchant, journals, lines);
        }
    }

    /// Nothing is added any more.
    fn close(&mut self) {
        for (merchant, (journals, lines)) in &mut self.open {
            if !journals.is_empty() {
                self.full.push(*merchant, journals, lines);
            }
        }
    }
}

/// Rows of `month_line` to be written: the lines of all one after the other, and how many are whose.
#[derive(Default)]
struct Rows {
    merchants: Vec<Uuid>,
    counts: Vec<i32>,
    journals: Vec<Uuid>,
    lines: Vec<i32>,
}

impl Rows {
    /// Takes a row's lines, and leaves none.
    fn push(&mut self, merchant: MerchantId, journals: &mut Vec<Uuid>, lines: &mut Vec<i32>) {
        self.merchants.push(merchant.uuid());
        self.counts
            .push(i32::try_from(journals.len()).unwrap_or(i32::MAX));
        self.journals.append(journals);
        self.lines.append(lines);
    }

    /// Writes them, and leaves none.
    async fn write(&mut self, tx: &mut Tx, period: Period) -> Result<(), Error> {
        sqlx::query!(
            "insert into month_line (month, merchant_id, last_journal, last_line, journals, lines)
             select $1, merchant_id, ($4::uuid[])[until], ($5::int[])[until],
                 ($4::uuid[])[until - count + 1:until], ($5::int[])[until - count + 1:until]
             from (
                 select merchant_id, count, sum(count) over (order by number)::int as until
                 from unnest($2::uuid[], $3::int[])
                     with ordinality as part (merchant_id, count, number)
             ) as row",
            period.first_day(),
            &self.merchants,
            &self.counts,
            &self.journals,
            &self.lines,
        )
        .execute(tx.conn())
        .await?;
        *self = Self::default();
        Ok(())
    }
}
