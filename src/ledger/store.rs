//! What the ledger writes, over slices, and what it locks and loads to decide.
#![expect(
    clippy::as_conversions,
    reason = "tells checked queries of arrays with nulls"
)]

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    account::Account,
    books::{Books, Deficit, Wallet, Wanted},
    lots::Lot,
};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Id, JournalId, LotId, MemberId, MerchantId, SettlementId, StoreId},
        time::{Instant, Month, Zone},
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

/// Ends the posting in every month up to `month`: waits for the writers under way, and the next
/// ones post in the month after. Never moves back.
///
/// # Errors
/// [`Error::Retry`] where a writer takes longer than the lock timeout.
pub async fn cut_off(tx: &mut Tx, month: Month) -> Result<(), Error> {
    sqlx::raw_sql("lock table book in exclusive mode")
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "update book set open_from = $1 where open_from < $1",
        month.next().first_day(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn open_books(tx: &mut Tx, zone: Zone, wanted: &Wanted) -> Result<Books, Error> {
    // In one message: the statement behind the lock sees what a cut-off that we waited for wrote.
    let row = sqlx::raw_sql("lock table book in row exclusive mode; select open_from from book")
        .fetch_one(tx.conn())
        .await?;
    let open_from = sqlx::Row::try_get(&row, 0)?;
    let mut books = Books::new(zone, Month::of(open_from), tx.now(), tx.entropy().clone());
    let wallets = sqlx::query!(
        r#"
        select member_id as "member: MemberId", available, held, debt, seq
        from wallet
        where member_id = any ($1)
        order by member_id
        for update"#,
        &uuids(&wanted.members),
    )
    .fetch_all(tx.conn())
    .await?;
    let mut debtors = Vec::new();
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
    }
    for lot in due_lots(tx, wanted).await? {
        books.add_lot(lot);
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
        }
    }
}

/// Lots of these members that lapsed and still have points; by `lot_open_idx`.
async fn due_lots(tx: &mut ReadTx, wanted: &Wanted) -> Result<Vec<Lot>, Error> {
    let rows = sqlx::query_as!(
        LotRow,
        r#"
        select lot_id as "lot_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _",
               journal_id as "journal_id: _", points, remaining, expired, clawed, owed,
               worth, worth_left, earned_at, expires_at
        from lot
        where member_id = any ($1) and remaining > 0 and expires_at <= $2"#,
        &uuids(&wanted.members),
        wanted.due_by,
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
               worth, worth_left, earned_at, expires_at
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
               worth, worth_left, earned_at, expires_at
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
        self.write_accounts(tx).await?;
        self.write_entries(tx).await?;
        self.write_transfers(tx).await?;
        self.write_new_lots(tx).await?;
        self.write_changed_lots(tx).await?;
        self.write_deficits(tx).await?;
        self.write_wallets(tx).await
    }

    async fn write_accounts(&self, tx: &mut Tx) -> Result<(), Error> {
        let sides = self
            .transfers
            .iter()
            .flat_map(|transfer| [transfer.from, transfer.to]);
        let accounts: Vec<Account> = sides.collect::<BTreeSet<_>>().into_iter().collect();
        insert_accounts(tx, &accounts, "points").await
    }

    async fn write_entries(&self, tx: &mut Tx) -> Result<(), Error> {
        let all = &self.entries;
        let now = tx.now();
        let merchants: Vec<Option<Uuid>> = all
            .iter()
            .map(|e| e.event.place.map(|(merchant, _)| merchant.uuid()))
            .collect();
        let stores: Vec<Option<Uuid>> = all
            .iter()
            .map(|e| e.event.place.map(|(_, store)| store.uuid()))
            .collect();
        let reverses: Vec<Option<Uuid>> = all
            .iter()
            .map(|e| e.event.reverses.map(|id| id.uuid()))
            .collect();
        sqlx::query!(
            "insert into journal (journal_id, kind, member_id, seq, points, balance_after,
                 merchant_id, store_id, source_id, reverses, posted_in, late, occurred_at,
                 posted_at, actor)
             select journal_id, kind, member_id, seq, points, balance_after, merchant_id,
                 store_id, source_id, reverses, posted_in, late, occurred_at, $15, actor
             from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[],
                 $6::bigint[], $7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[], $11::date[],
                 $12::boolean[], $13::timestamptz[], $14::text[])
                 as entry (journal_id, kind, member_id, seq, points, balance_after, merchant_id,
                 store_id, source_id, reverses, posted_in, late, occurred_at, actor)",
            &all.iter().map(|e| e.id.uuid()).collect::<Vec<_>>(),
            &all.iter()
                .map(|e| e.event.kind.as_str().to_owned())
                .collect::<Vec<_>>(),
            &all.iter()
                .map(|e| e.event.member.uuid())
                .collect::<Vec<_>>(),
            &all.iter().map(|e| e.seq).collect::<Vec<_>>(),
            &all.iter().map(|e| e.points).collect::<Vec<_>>(),
            &all.iter().map(|e| e.balance_after).collect::<Vec<_>>(),
            &merchants as &[Option<Uuid>],
            &stores as &[Option<Uuid>],
            &all.iter().map(|e| e.event.source).collect::<Vec<_>>(),
            &reverses as &[Option<Uuid>],
            &all.iter()
                .map(|e| e.posted_in.first_day())
                .collect::<Vec<_>>(),
            &all.iter().map(|e| e.late).collect::<Vec<_>>(),
            &all.iter().map(|e| e.event.occurred_at).collect::<Vec<_>>(),
            &all.iter()
                .map(|e| e.event.actor.to_string())
                .collect::<Vec<_>>(),
            now,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    async fn write_transfers(&self, tx: &mut Tx) -> Result<(), Error> {
        let all = &self.transfers;
        let mut ids: HashMap<Account, Uuid> = HashMap::new();
        let mut id = |account: Account| {
            *ids.entry(account)
                .or_insert_with(|| account.id("points").uuid())
        };
        let from: Vec<Uuid> = all.iter().map(|transfer| id(transfer.from)).collect();
        let to: Vec<Uuid> = all.iter().map(|transfer| id(transfer.to)).collect();
        sqlx::query!(
            "insert into transfer (journal_id, line, from_account, to_account, amount, value,
                 lot_id, posted_in)
             select journal_id, line, from_account, to_account, amount, value, lot_id, posted_in
             from unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::bigint[],
                 $6::bigint[], $7::uuid[], $8::date[])
                 as moved (journal_id, line, from_account, to_account, amount, value, lot_id,
                 posted_in)",
            &all.iter().map(|t| t.cause.uuid()).collect::<Vec<_>>(),
            &all.iter().map(|t| t.line).collect::<Vec<_>>(),
            &from,
            &to,
            &all.iter().map(|t| t.points).collect::<Vec<_>>(),
            &all.iter().map(|t| t.value).collect::<Vec<_>>(),
            &all.iter().map(|t| t.lot.uuid()).collect::<Vec<_>>(),
            &all.iter()
                .map(|t| t.posted_in.first_day())
                .collect::<Vec<_>>(),
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    async fn write_new_lots(&self, tx: &mut Tx) -> Result<(), Error> {
        let new: Vec<&Lot> = self
            .lots
            .values()
            .filter(|row| row.fresh)
            .map(|row| &row.value)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let expires: Vec<Option<Instant>> = new.iter().map(|lot| lot.expires_at).collect();
        sqlx::query!(
            "insert into lot (lot_id, member_id, merchant_id, store_id, journal_id, points,
                 remaining, expired, clawed, owed, worth, worth_left, earned_at, expires_at)
             select lot_id, member_id, merchant_id, store_id, journal_id, points, remaining,
                 expired, clawed, owed, worth, worth_left, earned_at, expires_at
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[],
                 $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                 $11::bigint[], $12::bigint[], $13::timestamptz[], $14::timestamptz[])
                 as new (lot_id, member_id, merchant_id, store_id, journal_id, points, remaining,
                 expired, clawed, owed, worth, worth_left, earned_at, expires_at)",
            &new.iter().map(|lot| lot.id.uuid()).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.member.uuid()).collect::<Vec<_>>(),
            &new.iter()
                .map(|lot| lot.merchant.uuid())
                .collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.store.uuid()).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.cause.uuid()).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.points).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.remaining).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.expired).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.clawed).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.owed).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.worth).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.worth_left).collect::<Vec<_>>(),
            &new.iter().map(|lot| lot.earned_at).collect::<Vec<_>>(),
            &expires as &[Option<Instant>],
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
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                 $6::bigint[], $7::timestamptz[])
                 as changed (lot_id, remaining, expired, clawed, owed, worth_left, expires_at)
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

    async fn write_wallets(&self, tx: &mut Tx) -> Result<(), Error> {
        let changed: Vec<(&MemberId, &Wallet)> = self
            .wallets
            .iter()
            .filter(|(_, row)| row.changed)
            .map(|(member, row)| (member, &row.value))
            .collect();
        sqlx::query!(
            "update wallet
             set available = changed.available, held = changed.held, debt = changed.debt,
                 seq = changed.seq
             from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                 as changed (member_id, available, held, debt, seq)
             where wallet.member_id = changed.member_id",
            &changed
                .iter()
                .map(|(member, _)| member.uuid())
                .collect::<Vec<_>>(),
            &changed
                .iter()
                .map(|(_, wallet)| wallet.available)
                .collect::<Vec<_>>(),
            &changed
                .iter()
                .map(|(_, wallet)| wallet.held)
                .collect::<Vec<_>>(),
            &changed
                .iter()
                .map(|(_, wallet)| wallet.debt)
                .collect::<Vec<_>>(),
            &changed
                .iter()
                .map(|(_, wallet)| wallet.seq)
                .collect::<Vec<_>>(),
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }
}

/// Writes accounts into the directory, where they are not there yet.
async fn insert_accounts(tx: &mut Tx, accounts: &[Account], unit: &str) -> Result<(), Error> {
    let owners: Vec<Option<Uuid>> = accounts.iter().map(Account::owner).collect();
    let partners: Vec<Option<Uuid>> = accounts.iter().map(Account::partner).collect();
    sqlx::query!(
        "insert into account (account_id, kind, owner_id, partner_id, unit)
         select account_id, kind, owner_id, partner_id, $5
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[])
             as new (account_id, kind, owner_id, partner_id)
         on conflict (account_id) do nothing",
        &accounts
            .iter()
            .map(|account| account.id(unit).uuid())
            .collect::<Vec<_>>(),
        &accounts
            .iter()
            .map(|account| account.kind().to_owned())
            .collect::<Vec<_>>(),
        &owners as &[Option<Uuid>],
        &partners as &[Option<Uuid>],
        unit,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
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
    month: Month,
    unit: &str,
    owed: &[(Option<MerchantId>, Option<MerchantId>, i64)],
) -> Result<(), Error> {
    if owed.is_empty() {
        return Ok(());
    }
    let sides = owed
        .iter()
        .flat_map(|(from, to, _)| [Account::Payable(*from), Account::Receivable(*to)]);
    let accounts: Vec<Account> = sides.collect::<BTreeSet<_>>().into_iter().collect();
    insert_accounts(tx, &accounts, unit).await?;
    let journal: JournalId = tx.new_id();
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into journal (journal_id, kind, points, balance_after, source_id, posted_in, late,
             occurred_at, posted_at, actor)
         values ($1, 'settle', 0, 0, $2, $3, false, $4, $4, $5)",
        journal.uuid(),
        settlement.uuid(),
        month.first_day(),
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    let from: Vec<Uuid> = owed
        .iter()
        .map(|(from, _, _)| Account::Payable(*from).id(unit).uuid())
        .collect();
    let to: Vec<Uuid> = owed
        .iter()
        .map(|(_, to, _)| Account::Receivable(*to).id(unit).uuid())
        .collect();
    let amounts: Vec<i64> = owed.iter().map(|(_, _, amount)| *amount).collect();
    sqlx::query!(
        "insert into transfer (journal_id, line, from_account, to_account, amount, value, lot_id,
             posted_in)
         select $1, (line - 1)::int, from_account, to_account, amount, amount, null, $2
         from unnest($3::uuid[], $4::uuid[], $5::bigint[])
             with ordinality as owed (from_account, to_account, amount, line)",
        journal.uuid(),
        month.first_day(),
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
