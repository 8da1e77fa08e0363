//! What a member sees first: how many points, what lapses next, and what happened last.

use std::{cmp::Reverse, collections::HashMap};

use crate::{
    authz::{action::ReadMembers, actor::Reach, grant::Grant},
    db::{Error, tenants::names_from_json, tx::ReadTx},
    kernel::{
        ids::{JournalId, MemberId, MerchantId, StoreId},
        text::Names,
        time::Instant,
    },
};

/// How many of the newest lines of the history it shows.
const LINES: i64 = 20;

/// A member's points at a moment, and how they came to be.
#[derive(Debug, Clone)]
pub struct Home {
    /// What can be spent; what has lapsed is not in it, whether or not expiry has run. A merchant sees
    /// what it takes.
    pub available: i64,
    /// What of `available` one merchant alone takes: which, its names, how many.
    pub earmarked: Vec<(MerchantId, Names, i64)>,
    /// What is promised to reservations.
    pub held: i64,
    /// What is owed from points taken back after they were spent.
    pub owed: i64,
    /// What lapses next; none where nothing ever does.
    pub next_expiry: Option<Expiry>,
    /// The newest 20 lines of the history, the newest first.
    pub lines: Vec<HomeLine>,
}

/// Points that lapse together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// How many.
    pub points: i64,
    /// The first moment at which they can no longer be spent.
    pub at: Instant,
}

/// One line of a member's history, in words that a member knows.
#[derive(Debug, Clone)]
pub struct HomeLine {
    /// The event.
    pub id: JournalId,
    /// Why.
    pub kind: String,
    /// What it changed.
    pub points: i64,
    /// The balance after it.
    pub balance_after: i64,
    /// At which merchant, and
    pub merchant: Option<(MerchantId, Names)>,
    /// in which store.
    pub store: Option<(StoreId, Names)>,
    /// When it happened.
    pub occurred_at: Instant,
}

/// The wallet, again on each row, and one line of the history, where there is one.
struct Row {
    available: i64,
    held: i64,
    debt: i64,
    lapsed: i64,
    soonest: Option<Instant>,
    lapsing: Option<i64>,
    takers: Option<Vec<MerchantId>>,
    takers_names: Option<Vec<String>>,
    earmarks: Option<Vec<i64>>,
    seq: Option<i64>,
    id: Option<JournalId>,
    kind: Option<String>,
    points: Option<i64>,
    balance_after: Option<i64>,
    occurred_at: Option<Instant>,
    merchant: Option<MerchantId>,
    merchant_names: Option<String>,
    store: Option<StoreId>,
    store_names: Option<String>,
}

impl Row {
    fn line(self, read: &mut ReadNames) -> Result<Option<HomeLine>, Error> {
        let merchant = read.named(self.merchant, self.merchant_names)?;
        let store = read.named(self.store, self.store_names)?;
        let line = self.id.zip(self.kind).zip(self.occurred_at);
        let amounts = self.points.zip(self.balance_after);
        Ok(line.zip(amounts).map(
            |(((id, kind), occurred_at), (points, balance_after))| HomeLine {
                id,
                kind,
                points,
                balance_after,
                merchant,
                store,
                occurred_at,
            },
        ))
    }
}

/// A member's home in one query, as fast after ten thousand lines as after ten. None where there is
/// no such member within reach.
///
/// # Errors
/// [`Error::Unavailable`].
#[expect(
    clippy::too_many_lines,
    reason = "one query, and a line for each column of it"
)]
pub async fn home(
    tx: &mut ReadTx,
    grant: &Grant<ReadMembers>,
    member: MemberId,
) -> Result<Option<Home>, Error> {
    if matches!(grant.reach(), Reach::Member(own) if own != member) {
        return Ok(None);
    }
    let (now, taker) = (tx.now(), grant.reach().merchant());
    // One row a line, or one without any. The wallet by wallet_pkey; what has lapsed, what lapses
    // next and how much of it by lot_open_idx, which holds only lots with points left; the lines
    // by journal_member_seq_key: they are numbered without gaps, so that no plan reads more than the
    // newest; what only some merchants take by lot_earmark_idx, mostly nothing. Names by merchant_pkey
    // and store_pkey. A node less in the plan is worth more here than
    // a row less: the lines are put in order below.
    let mut rows = sqlx::query_as!(
        Row,
        r#"
        select wallet.available, wallet.held, wallet.debt, due.lapsed as "lapsed!",
               due.soonest as "soonest?: Instant", due.lapsing as "lapsing?",
               earmarked.takers as "takers: Vec<MerchantId>",
               earmarked.names as "takers_names", earmarked.points as "earmarks",
               line.seq as "seq?", line.journal_id as "id?: JournalId", line.kind as "kind?",
               line.points as "points?", line.balance_after as "balance_after?",
               line.occurred_at as "occurred_at?",
               merchant.merchant_id as "merchant?: MerchantId",
               merchant.names::text as "merchant_names?",
               store.store_id as "store?: StoreId", store.names::text as "store_names?"
        from wallet
        cross join lateral (
            select coalesce(sum(remaining) filter (where expires_at <= $2), 0)::bigint as lapsed,
                   max(expires_at) filter (where expires_at > $2) as soonest,
                   (sum(remaining) filter (where expires_at > $2))::bigint as lapsing
            from lot
            where lot.member_id = wallet.member_id and remaining > 0
              and (only_at is null or $4::uuid is null or only_at = $4 or expires_at <= $2)
              and expires_at <= coalesce((
                  select next.expires_at
                  from lot as next
                  where next.member_id = wallet.member_id and next.remaining > 0
                    and next.expires_at > $2
                    and (next.only_at is null or $4::uuid is null or next.only_at = $4)
                  order by next.expires_at
                  limit 1
              ), $2)
        ) as due
        cross join lateral (
            select array_agg(purse.only_at) as takers, array_agg(taker.names::text) as names,
                   array_agg(purse.points) as points
            from (
                select only_at, sum(remaining)::bigint as points
                from lot
                where lot.member_id = wallet.member_id and remaining > 0 and only_at is not null
                  and (expires_at > $2 or expires_at is null)
                group by only_at
            ) as purse
            join merchant as taker on taker.merchant_id = purse.only_at
        ) as earmarked
        left join journal as line
               on line.member_id = wallet.member_id and line.seq > wallet.seq - $3
        left join merchant on merchant.merchant_id = line.merchant_id
        left join store on store.store_id = line.store_id
        where wallet.member_id = $1"#,
        member.uuid(),
        now,
        LINES,
        taker.map(|merchant| merchant.uuid()),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.sort_unstable_by_key(|row| Reverse(row.seq));
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut read = ReadNames::default();
    let mut available = first.available.saturating_sub(first.lapsed);
    let mut earmarked = Vec::new();
    let takers = first
        .takers
        .iter()
        .flatten()
        .zip(first.takers_names.iter().flatten());
    for ((merchant, names), points) in takers.zip(first.earmarks.iter().flatten()) {
        if taker.is_some_and(|own| own != *merchant) {
            available = available.saturating_sub(*points);
        } else if let Some((merchant, names)) = read.named(Some(*merchant), Some(names.clone()))? {
            earmarked.push((merchant, names, *points));
        }
    }
    earmarked.sort_unstable_by_key(|(merchant, _, _)| *merchant);
    let mut home = Home {
        available,
        earmarked,
        held: first.held,
        owed: first.debt,
        next_expiry: first
            .soonest
            .zip(first.lapsing)
            .map(|(at, points)| Expiry { points, at }),
        lines: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        home.lines.extend(row.line(&mut read)?);
    }
    Ok(Some(home))
}

/// Names by their text in the database: most lines are of few places, and each is read once.
#[derive(Default)]
struct ReadNames(HashMap<String, Names>);

impl ReadNames {
    fn named<T>(
        &mut self,
        id: Option<T>,
        names: Option<String>,
    ) -> Result<Option<(T, Names)>, Error> {
        let Some((id, text)) = id.zip(names) else {
            return Ok(None);
        };
        if let Some(names) = self.0.get(&text) {
            return Ok(Some((id, names.clone())));
        }
        let json = serde_json::from_str(&text).map_err(|_| Error::Corrupt("names"))?;
        let names = names_from_json(&json)?;
        self.0.insert(text, names.clone());
        Ok(Some((id, names)))
    }
}
