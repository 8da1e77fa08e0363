//! What is posted, column by column, as the database takes it.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use uuid::Uuid;

use super::{
    account::Account,
    books::Wallet,
    lots::Lot,
    transfer::{Entry, Transfer},
};
use crate::kernel::{ids::MemberId, time::Instant};

/// Accounts for the directory, each once and in one order, so that two who write the same ones
/// never wait for each other in a circle.
pub(super) struct Directory<'a> {
    pub(super) ids: Vec<Uuid>,
    pub(super) kinds: Vec<String>,
    pub(super) owners: Vec<Option<Uuid>>,
    pub(super) partners: Vec<Option<Uuid>>,
    places: HashMap<Account, Uuid>,
    unit: &'a str,
}

impl<'a> Directory<'a> {
    /// The accounts of one unit, "points" or a currency code.
    pub(super) fn of(accounts: impl Iterator<Item = Account>, unit: &'a str) -> Self {
        let accounts: BTreeSet<Account> = accounts.collect();
        let id = |account: &Account| account.id(unit).uuid();
        let places: HashMap<Account, Uuid> = accounts.iter().map(|one| (*one, id(one))).collect();
        let places_of = accounts.iter().filter_map(|one| places.get(one).copied());
        Self {
            ids: places_of.collect(),
            kinds: accounts.iter().map(|one| one.kind().to_owned()).collect(),
            owners: accounts.iter().map(Account::owner).collect(),
            partners: accounts.iter().map(Account::partner).collect(),
            places,
            unit,
        }
    }

    /// The id of one of them.
    fn id(&self, account: &Account) -> Uuid {
        let known = self.places.get(account).copied();
        known.unwrap_or_else(|| account.id(self.unit).uuid())
    }
}

/// The columns of `journal`.
pub(super) struct EntryColumns {
    pub(super) ids: Vec<Uuid>,
    pub(super) kinds: Vec<String>,
    pub(super) members: Vec<Uuid>,
    pub(super) seqs: Vec<i64>,
    pub(super) points: Vec<i64>,
    pub(super) balances: Vec<i64>,
    pub(super) merchants: Vec<Option<Uuid>>,
    pub(super) stores: Vec<Option<Uuid>>,
    pub(super) sources: Vec<Uuid>,
    pub(super) reverses: Vec<Option<Uuid>>,
    pub(super) periods: Vec<NaiveDate>,
    pub(super) late: Vec<bool>,
    pub(super) occurred: Vec<Instant>,
    pub(super) actors: Vec<String>,
}

impl EntryColumns {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let all = || entries.iter();
        let events = || entries.iter().map(|entry| &entry.event);
        let places = || events().map(|event| event.place);
        Self {
            ids: all().map(|entry| entry.id.uuid()).collect(),
            kinds: events()
                .map(|event| event.kind.as_str().to_owned())
                .collect(),
            members: events().map(|event| event.member.uuid()).collect(),
            seqs: all().map(|entry| entry.seq).collect(),
            points: all().map(|entry| entry.points).collect(),
            balances: all().map(|entry| entry.balance_after).collect(),
            merchants: places()
                .map(|at| at.map(|(merchant, _)| merchant.uuid()))
                .collect(),
            stores: places()
                .map(|at| at.map(|(_, store)| store.uuid()))
                .collect(),
            sources: events().map(|event| event.source).collect(),
            reverses: events()
                .map(|event| event.reverses.map(|id| id.uuid()))
                .collect(),
            periods: all().map(|entry| entry.posted_in.first_day()).collect(),
            late: all().map(|entry| entry.late).collect(),
            occurred: events().map(|event| event.occurred_at).collect(),
            actors: events().map(|event| event.actor.to_string()).collect(),
        }
    }
}

/// The columns of `transfer`.
pub(super) struct TransferColumns {
    pub(super) causes: Vec<Uuid>,
    pub(super) lines: Vec<i32>,
    pub(super) from: Vec<Uuid>,
    pub(super) to: Vec<Uuid>,
    pub(super) points: Vec<i64>,
    pub(super) values: Vec<i64>,
    pub(super) lots: Vec<Uuid>,
    pub(super) earned: Vec<Instant>,
    pub(super) periods: Vec<NaiveDate>,
}

impl TransferColumns {
    /// `directory` holds both sides of each of them.
    pub(super) fn of(transfers: &[Transfer], directory: &Directory<'_>) -> Self {
        let all = || transfers.iter();
        Self {
            causes: all().map(|one| one.cause.uuid()).collect(),
            lines: all().map(|one| one.line).collect(),
            from: all().map(|one| directory.id(&one.from)).collect(),
            to: all().map(|one| directory.id(&one.to)).collect(),
            points: all().map(|one| one.points).collect(),
            values: all().map(|one| one.value).collect(),
            lots: all().map(|one| one.lot.uuid()).collect(),
            earned: all().map(|one| one.earned_at).collect(),
            periods: all().map(|one| one.posted_in.first_day()).collect(),
        }
    }
}

/// The columns of `lot`.
pub(super) struct LotColumns {
    pub(super) ids: Vec<Uuid>,
    pub(super) members: Vec<Uuid>,
    pub(super) merchants: Vec<Uuid>,
    pub(super) stores: Vec<Uuid>,
    pub(super) causes: Vec<Uuid>,
    pub(super) points: Vec<i64>,
    pub(super) remaining: Vec<i64>,
    pub(super) expired: Vec<i64>,
    pub(super) clawed: Vec<i64>,
    pub(super) owed: Vec<i64>,
    pub(super) worth: Vec<i64>,
    pub(super) worth_left: Vec<i64>,
    pub(super) earned: Vec<Instant>,
    pub(super) expires: Vec<Option<Instant>>,
    pub(super) only: Vec<Option<Uuid>>,
}

impl LotColumns {
    pub(super) fn of<'a>(lots: impl Iterator<Item = &'a Lot>) -> Self {
        let lots: Vec<&Lot> = lots.collect();
        let all = || lots.iter();
        Self {
            ids: all().map(|lot| lot.id.uuid()).collect(),
            members: all().map(|lot| lot.member.uuid()).collect(),
            merchants: all().map(|lot| lot.merchant.uuid()).collect(),
            stores: all().map(|lot| lot.store.uuid()).collect(),
            causes: all().map(|lot| lot.cause.uuid()).collect(),
            points: all().map(|lot| lot.points).collect(),
            remaining: all().map(|lot| lot.remaining).collect(),
            expired: all().map(|lot| lot.expired).collect(),
            clawed: all().map(|lot| lot.clawed).collect(),
            owed: all().map(|lot| lot.owed).collect(),
            worth: all().map(|lot| lot.worth).collect(),
            worth_left: all().map(|lot| lot.worth_left).collect(),
            earned: all().map(|lot| lot.earned_at).collect(),
            expires: all().map(|lot| lot.expires_at).collect(),
            only: all().map(|lot| lot.only_at.map(|id| id.uuid())).collect(),
        }
    }
}

/// The columns of `wallet`.
pub(super) struct WalletColumns {
    pub(super) members: Vec<Uuid>,
    pub(super) available: Vec<i64>,
    pub(super) held: Vec<i64>,
    pub(super) debt: Vec<i64>,
    pub(super) seqs: Vec<i64>,
}

impl WalletColumns {
    pub(super) fn of<'a>(wallets: impl Iterator<Item = (MemberId, &'a Wallet)>) -> Self {
        let wallets: Vec<(MemberId, &Wallet)> = wallets.collect();
        let each = |of: fn(&Wallet) -> i64| wallets.iter().map(|(_, one)| of(one)).collect();
        Self {
            members: wallets.iter().map(|(member, _)| member.uuid()).collect(),
            available: each(|wallet| wallet.available),
            held: each(|wallet| wallet.held),
            debt: each(|wallet| wallet.debt),
            seqs: each(|wallet| wallet.seq),
        }
    }
}
