//! What the ledger writes, over slices, and what it locks and loads to decide.
//!
//! A set travels as one array a column and is taken apart in the select list; in `from` each array
//! would be laid down and read again, which costs more than the insert. What belongs together goes
//! out in one message: a lone request waits for each.
#![expect(
    clippy::as_conversions,
    reason = "tells checked queries of arrays with nulls"
)]

use uuid::Uuid;

use super::{
    account::Account,
    books::{Books, Deficit, Wallet, Wanted},
    columns::{Directory, EntryColumns, LotColumns, TransferColumns, WalletColumns},
    lots::Lot,
    transfer::Kind,
};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Id, JournalId, LotId, MemberId, MerchantId, SettlementId, StoreId},
        time::{Instant, Period, Unit, Zone},
    },
};

/// Gives each of these members an empty wallet, where there is none.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn open_wallets(tx: &mut Tx, members: &[MemberId]) -> Result<(), Error> {
    sqlx::query!(
        "insert into wallet (member_id, available, held, debt, seq)
         select member_id, 0, 0, 0, 0
         from unnest($1::uuid[]) as member (member_id)
         on conflict (member_id) do nothing",
        &uuids(members),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn open_books(tx: &mut Tx, zone: Zone, wanted: &Wanted) -> Result<Books, Error> {
    let (now, entropy) = (tx.now(), tx.entropy().clone());
    // An update of no row locks the table as a writer does, before the statement looks at anything:
    // it sees what a cut-off or a change of the unit wrote for which it waited. Whether lots are due it
    // says as of then; where it waited for a wallet afterwards, the wallet's number is another than it was.
    let wallets = sqlx::query!(
        r#"
        with posting as (update book set open_from = open_from where false)
        select member_id as "member: MemberId", available, held, debt, seq,
               (select open_from from book) as "open_from!",
               (select period from book) as "period!: Unit",
               exists (select from lot
                       where lot.member_id = wallet.member_id and remaining > 0
                         and expires_at <= $2)
                   or seq <> (select seq from wallet as before
                              where before.member_id = wallet.member_id) as "due!"
        from wallet
        where member_id = any ($1)
        order by member_id
        for update of wallet"#,
        &uuids(&wanted.members),
        wanted.due_by,
    )
    .fetch_all(tx.conn())
    .await?;
    // Books of nobody post nothing, whatever the period.
    let first = wallets.first().map(|row| (row.open_from, row.period));
    let (open_from, unit) = first.unwrap_or_default();
    let mut books = Books::new(zone, Period::containing(open_from, unit), now, entropy);
    let (mut debtors, mut lapsed) = (Vec::new(), Vec::new());
    for row in wallets {
        let (available, held, debt, seq) = (row.available, row.held, row.debt, row.seq);
        books.add_wallet(
            row.member,
            Wallet {
                available,
                held,
                debt,
                seq,
            },
        );
        if debt > 0 {
            debtors.push(row.member);
        }
        // A spender's open lots are all loaded, those that lapsed among them.
        if row.due && !wanted.spenders.contains(&row.member) {
            lapsed.push(row.member);
        }
    }
    if !lapsed.is_empty() {
        for lot in due_lots(tx, &lapsed, wanted.due_by).await? {
            books.add_lot(lot);
        }
    }
    if !wanted.spenders.is_empty() {
        for lot in open_lots(tx, &wanted.spenders).await? {
            books.add_lot(lot);
        }
    }
    if !wanted.lots.is_empty() {
        for lot in lots_by_id(tx, &wanted.lots).await? {
            books.add_lot(lot);
        }
    }
    if !debtors.is_empty() {
        for (member, deficit) in deficits(tx, &debtors).await? {
            books.add_deficit(member, deficit);
        }
    }
    Ok(books)
}

/// A lot as it is selected everywhere.
pub(super) struct LotRow {
    pub(super) lot_id: LotId,
    pub(super) member_id: MemberId,
    pub(super) merchant_id: MerchantId,
    pub(super) store_id: StoreId,
    pub(super) journal_id: JournalId,
    pub(super) points: i64,
    pub(super) remaining: i64,
    pub(super) expired: i64,
    pub(super) clawed: i64,
    pub(super) owed: i64,
    pub(super) worth: i64,
    pub(super) worth_left: i64,
    pub(super) earned_at: Instant,
    pub(super) expires_at: Option<Instant>,
    pub(super) only_at: Option<MerchantId>,
}

impl From<LotRow> for Lot {
    fn from(row: LotRow) -> Self {
        Self {
            id: row.lot_id,
            member: row.member_id,
            merchant: row.merchant_id,
            store: row.store_id,
            cause: row.journal_id,
            points: row.points,
            remaining: row.remaining,
            expired: row.expired,
            clawed: row.clawed,
            owed: row.owed,
            worth: row.worth,
            worth_left: row.worth_left,
            earned_at: row.earned_at,
            expires_at: row.expires_at,
            only_at: row.only_at,
        }
    }
}

/// Lots of these members that lapsed and still have points; by `lot_open_idx`.
async fn due_lots(
    tx: &mut ReadTx,
    members: &[MemberId],
    due_by: Instant,
) -> Result<Vec<Lot>, Error> {
    let rows = sqlx::query_as!(
        LotRow,
        r#"
        select lot_id as "lot_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _",
               journal_id as "journal_id: _", points, remaining, expired, clawed, owed,
               worth, worth_left, earned_at, expires_at, only_at as "only_at: _"
        from lot
        where member_id = any ($1) and remaining > 0 and expires_at <= $2"#,
        &uuids(members),
        due_by,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Lot::from).collect())
}

/// Lots of these members with points left; by `lot_open_idx`.
async fn open_lots(tx: &mut ReadTx, members: &[MemberId]) -> Result<Vec<Lot>, Error> {
    let rows = sqlx::query_as!(
        LotRow,
        r#"
        select lot_id as "lot_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _",
               journal_id as "journal_id: _", points, remaining, expired, clawed, owed,
               worth, worth_left, earned_at, expires_at, only_at as "only_at: _"
        from lot
        where member_id = any ($1) and remaining > 0"#,
        &uuids(members),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Lot::from).collect())
}

/// These lots, whatever is left of them; by `lot_pkey`.
async fn lots_by_id(tx: &mut ReadTx, lots: &[LotId]) -> Result<Vec<Lot>, Error> {
    let rows = sqlx::query_as!(
        LotRow,
        r#"
        select lot_id as "lot_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _",
               journal_id as "journal_id: _", points, remaining, expired, clawed, owed,
               worth, worth_left, earned_at, expires_at, only_at as "only_at: _"
        from lot
        where lot_id = any ($1)"#,
        &uuids(lots),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Lot::from).collect())
}

/// What these members owe, the oldest debt first; by `deficit_open_idx`.
async fn deficits(
    tx: &mut ReadTx,
    members: &[MemberId],
) -> Result<Vec<(MemberId, Deficit)>, Error> {
    let rows = sqlx::query!(
        r#"
        select deficit_id, member_id as "member: MemberId", merchant_id as "merchant: MerchantId",
               points, remaining, created_at
        from deficit
        where member_id = any ($1) and remaining > 0
        order by member_id, created_at, deficit_id"#,
        &uuids(members),
    )
    .fetch_all(tx.conn())
    .await?;
    let deficit = |id, merchant, points, remaining, created_at| Deficit {
        id,
        merchant,
        points,
        remaining,
        created_at,
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            let owed = deficit(
                row.deficit_id,
                row.merchant,
                row.points,
                row.remaining,
                row.created_at,
            );
            (row.member, owed)
        })
        .collect())
}

impl Books {
    /// Writes everything that happened in these books.
    ///
    /// # Errors
    /// [`Error::Constraint`] where a floor or a line number says no: a mistake of ours, and
    /// nothing was written.
    pub async fn post(self, tx: &mut Tx) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.write_changed_lots(tx).await?;
        self.write_deficits(tx).await?;
        self.write_new(tx).await
    }

    /// Events and what they moved, the accounts that it moved between and the lots that were granted
    /// where they are new, and the wallets as they are now: one statement, because each one more
    /// costs a lone purchase as much as all of its rows do.
    #[expect(
        clippy::too_many_lines,
        reason = "one statement, and a line for each column of it"
    )]
    async fn write_new(&self, tx: &mut Tx) -> Result<(), Error> {
        let directory = Directory::of(
            self.transfers.iter().flat_map(|one| [one.from, one.to]),
            "points",
        );
        let entries = EntryColumns::of(&self.entries);
        let moved = TransferColumns::of(&self.transfers, &directory);
        let fresh = self.lots.values().filter(|row| row.fresh);
        let granted = LotColumns::of(fresh.map(|row| &row.value));
        let changed = self.wallets.iter().filter(|(_, row)| row.changed);
        let wallets = WalletColumns::of(changed.map(|(member, row)| (*member, &row.value)));
        let now = tx.now();
        sqlx::query!(
            "with opened as (
                 insert into account (account_id, kind, owner_id, partner_id, unit)
                 select unnest($1::uuid[]), unnest($2::text[]), unnest($3::uuid[]),
                     unnest($4::uuid[]), 'points'
                 on conflict (account_id) do nothing),
             entered as (
                 insert into journal (journal_id, kind, member_id, seq, points, balance_after,
                     merchant_id, store_id, source_id, reverses, posted_in, late, occurred_at,
                     actor, posted_at)
                 select unnest($5::uuid[]), unnest($6::text[]), unnest($7::uuid[]),
                     unnest($8::bigint[]), unnest($9::bigint[]), unnest($10::bigint[]),
                     unnest($11::uuid[]), unnest($12::uuid[]), unnest($13::uuid[]),
                     unnest($14::uuid[]), unnest($15::date[]), unnest($16::boolean[]),
                     unnest($17::timestamptz[]), unnest($18::text[]), $19),
             moved as (
                 insert into transfer (journal_id, line, from_account, to_account, amount, value,
                     lot_id, earned_at, posted_in)
                 select unnest($20::uuid[]), unnest($21::int[]), unnest($22::uuid[]),
                     unnest($23::uuid[]), unnest($24::bigint[]), unnest($25::bigint[]),
                     unnest($26::uuid[]), unnest($27::timestamptz[]), unnest($28::date[])),
             granted as (
                 insert into lot (lot_id, member_id, merchant_id, store_id, journal_id, points,
                     remaining, expired, clawed, owed, worth, worth_left, earned_at, expires_at,
                     only_at)
                 select unnest($29::uuid[]), unnest($30::uuid[]), unnest($31::uuid[]),
                     unnest($32::uuid[]), unnest($33::uuid[]), unnest($34::bigint[]),
                     unnest($35::bigint[]), unnest($36::bigint[]), unnest($37::bigint[]),
                     unnest($38::bigint[]), unnest($39::bigint[]), unnest($40::bigint[]),
                     unnest($41::timestamptz[]), unnest($42::timestamptz[]),
                     unnest($48::uuid[]))
             update wallet
             set available = changed.available, held = changed.held, debt = changed.debt,
                 seq = changed.seq
             from (select unnest($43::uuid[]) as member_id, unnest($44::bigint[]) as available,
                 unnest($45::bigint[]) as held, unnest($46::bigint[]) as debt,
                 unnest($47::bigint[]) as seq) as changed
             where wallet.member_id = changed.member_id",
            &directory.ids,
            &directory.kinds,
            &directory.owners as &[Option<Uuid>],
            &directory.partners as &[Option<Uuid>],
            &entries.ids,
            &entries.kinds,
            &entries.members,
            &entries.seqs,
            &entries.points,
            &entries.balances,
            &entries.merchants as &[Option<Uuid>],
            &entries.stores as &[Option<Uuid>],
            &entries.sources,
            &entries.reverses as &[Option<Uuid>],
            &entries.periods,
            &entries.late,
            &entries.occurred,
            &entries.actors,
            now,
            &moved.causes,
            &moved.lines,
            &moved.from,
            &moved.to,
            &moved.points,
            &moved.values,
            &moved.lots,
            &moved.earned,
            &moved.periods,
            &granted.ids,
            &granted.members,
            &granted.merchants,
            &granted.stores,
            &granted.causes,
            &granted.points,
            &granted.remaining,
            &granted.expired,
            &granted.clawed,
            &granted.owed,
            &granted.worth,
            &granted.worth_left,
            &granted.earned,
            &granted.expires as &[Option<Instant>],
            &wallets.members,
            &wallets.available,
            &wallets.held,
            &wallets.debt,
            &wallets.seqs,
            &granted.only as &[Option<Uuid>],
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    async fn write_changed_lots(&self, tx: &mut Tx) -> Result<(), Error> {
        let changed = self.lots.values().filter(|row| row.changed && !row.fresh);
        let lots: Vec<&Lot> = changed.map(|row| &row.value).collect();
        if lots.is_empty() {
            return Ok(());
        }
        let expires: Vec<Option<Instant>> = lots.iter().map(|lot| lot.expires_at).collect();
        sqlx::query!(
            "update lot
             set remaining = changed.remaining, expired = changed.expired,
                 clawed = changed.clawed, owed = changed.owed,
                 worth_left = changed.worth_left, expires_at = changed.expires_at
             from (select unnest($1::uuid[]) as lot_id, unnest($2::bigint[]) as remaining,
                 unnest($3::bigint[]) as expired, unnest($4::bigint[]) as clawed,
                 unnest($5::bigint[]) as owed, unnest($6::bigint[]) as worth_left,
                 unnest($7::timestamptz[]) as expires_at) as changed
             where lot.lot_id = changed.lot_id",
            &lots.iter().map(|lot| lot.id.uuid()).collect::<Vec<_>>(),
            &lots.iter().map(|lot| lot.remaining).collect::<Vec<_>>(),
            &lots.iter().map(|lot| lot.expired).collect::<Vec<_>>(),
            &lots.iter().map(|lot| lot.clawed).collect::<Vec<_>>(),
            &lots.iter().map(|lot| lot.owed).collect::<Vec<_>>(),
            &lots.iter().map(|lot| lot.worth_left).collect::<Vec<_>>(),
            &expires as &[Option<Instant>],
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    async fn write_deficits(&self, tx: &mut Tx) -> Result<(), Error> {
        for (member, rows) in &self.deficits {
            for row in rows.iter().filter(|row| row.changed) {
                let debt = &row.value;
                sqlx::query!(
                    "insert into deficit (deficit_id, member_id, merchant_id, points, remaining,
                         created_at)
                     values ($1, $2, $3, $4, $5, $6)
                     on conflict (deficit_id) do update set remaining = excluded.remaining",
                    debt.id,
                    member.uuid(),
                    debt.merchant.uuid(),
                    debt.points,
                    debt.remaining,
                    debt.created_at,
                )
                .execute(tx.conn())
                .await?;
            }
        }
        Ok(())
    }
}

/// Posts what parties owe each other after a settlement: one entry, a transfer from the payer's
/// payable to the receiver's receivable account for each (payer, receiver, minor units); no
/// merchant is the operator.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn settle_money(
    tx: &mut Tx,
    settlement: SettlementId,
    period: Period,
    unit: &str,
    owed: &[(Option<MerchantId>, Option<MerchantId>, i64)],
) -> Result<(), Error> {
    let moves: Vec<_> = owed
        .iter()
        .map(|(from, to, amount)| (Account::Payable(*from), Account::Receivable(*to), *amount))
        .collect();
    move_money(tx, Kind::Settle, settlement.uuid(), period, unit, &moves).await
}

/// Posts money that moves between accounts of one currency, for one reason: one entry, a transfer
/// for each (out of, into, minor units above zero); none for none.
///
/// # Errors
/// [`Error::Constraint`] for an amount that is not above zero; [`Error::Unavailable`].
pub async fn move_money(
    tx: &mut Tx,
    kind: Kind,
    source: Uuid,
    period: Period,
    unit: &str,
    moves: &[(Account, Account, i64)],
) -> Result<(), Error> {
    if moves.is_empty() {
        return Ok(());
    }
    let sides = moves.iter().flat_map(|(from, to, _)| [*from, *to]);
    let directory = Directory::of(sides, unit);
    sqlx::query!(
        "insert into account (account_id, kind, owner_id, partner_id, unit)
         select unnest($1::uuid[]), unnest($2::text[]), unnest($3::uuid[]), unnest($4::uuid[]), $5
         on conflict (account_id) do nothing",
        &directory.ids,
        &directory.kinds,
        &directory.owners as &[Option<Uuid>],
        &directory.partners as &[Option<Uuid>],
        unit,
    )
    .execute(tx.conn())
    .await?;
    let journal: JournalId = tx.new_id();
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into journal (journal_id, kind, points, balance_after, source_id, posted_in, late,
             occurred_at, posted_at, actor)
         values ($1, $2, 0, 0, $3, $4, false, $5, $5, $6)",
        journal.uuid(),
        kind.as_str(),
        source,
        period.first_day(),
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    let from: Vec<Uuid> = moves
        .iter()
        .map(|(from, _, _)| from.id(unit).uuid())
        .collect();
    let to: Vec<Uuid> = moves.iter().map(|(_, to, _)| to.id(unit).uuid()).collect();
    let amounts: Vec<i64> = moves.iter().map(|(_, _, amount)| *amount).collect();
    sqlx::query!(
        "insert into transfer (journal_id, line, from_account, to_account, amount, value, lot_id,
             posted_in)
         select $1, (line - 1)::int, from_account, to_account, amount, amount, null, $2
         from unnest($3::uuid[], $4::uuid[], $5::bigint[])
             with ordinality as owed (from_account, to_account, amount, line)",
        journal.uuid(),
        period.first_day(),
        &from,
        &to,
        &amounts,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) fn uuids<K>(ids: &[Id<K>]) -> Vec<Uuid> {
    ids.iter().map(Id::uuid).collect()
}
