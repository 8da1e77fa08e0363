//! What the coins add up to, counted anew each time, and the comparison with the books.

use std::collections::BTreeMap;

use rotunda::{
    kernel::{
        ids::{JournalId, LotId, MemberId, MerchantId},
        time::Instant,
    },
    ledger::{
        Drawn,
        account::Account,
        books::{Books, Wallet},
    },
};

use super::{Place, World};

/// What the figures of a lot are, wherever they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotFigures {
    pub remaining: i64,
    pub expired: i64,
    pub clawed: i64,
    pub owed: i64,
    pub worth_left: i64,
    pub expires_at: Option<Instant>,
}

impl World {
    /// Compares the books with the coins.
    pub(super) fn check(&self, books: &Books) {
        for member in &self.members {
            assert_eq!(books.wallet(*member), Some(self.wallet(*member)));
            for (_, creditor, left) in self.debts.get(member).into_iter().flatten() {
                let has = self.count(|grant, place| {
                    let its = grant.member == *member && grant.is_for(Some(*creditor));
                    its && place == Place::Wallet
                });
                assert!(
                    *left == 0 || has == 0,
                    "who owes has nothing to pay it with"
                );
            }
        }
        for (id, figures) in self.lots() {
            let Some(lot) = books.lot(id) else { continue };
            assert_eq!(
                figures,
                LotFigures {
                    remaining: lot.remaining,
                    expired: lot.expired,
                    clawed: lot.clawed,
                    owed: lot.owed,
                    worth_left: lot.worth_left,
                    expires_at: lot.expires_at,
                }
            );
            assert!(
                lot.remaining > 0 || lot.worth_left == 0,
                "an empty lot is worth nothing"
            );
        }
        assert_eq!(self.accounts.values().sum::<i64>(), 0);
        let accounts = self.accounts.iter().filter(|(_, balance)| **balance != 0);
        let accounts: BTreeMap<Account, i64> =
            accounts.map(|(key, value)| (*key, *value)).collect();
        assert_eq!(accounts, self.balances());
    }

    /// A member's wallet, counted.
    pub fn wallet(&self, member: MemberId) -> Wallet {
        Wallet {
            available: self.count(|grant, place| grant.member == member && place == Place::Wallet),
            held: self
                .count(|grant, place| grant.member == member && matches!(place, Place::Held(_))),
            debt: self.debt(member),
            seq: self.history.get(&member).map_or(0, |(seq, _)| *seq),
        }
    }

    /// Every lot's figures, counted.
    pub fn lots(&self) -> BTreeMap<LotId, LotFigures> {
        let mut lots = BTreeMap::new();
        for (place, grant) in self.grants.iter().enumerate() {
            let lies = |wanted: Place| {
                let coins = self.coins.iter().filter(|coin| coin.lot == place);
                coins.filter(|coin| coin.place == wanted).count() as i64
            };
            lots.insert(
                grant.id,
                LotFigures {
                    remaining: lies(Place::Wallet),
                    expired: lies(Place::Expired),
                    clawed: lies(Place::TakenBack),
                    owed: grant.owed,
                    worth_left: grant.worth - grant.value_out,
                    expires_at: grant.expires_at,
                },
            );
        }
        lots
    }

    /// Every account's balance, counted; empty ones left out.
    pub fn balances(&self) -> BTreeMap<Account, i64> {
        let mut sums: BTreeMap<Account, i64> = BTreeMap::new();
        for coin in &self.coins {
            let grant = &self.grants[coin.lot];
            *sums.entry(Account::Issued(grant.issuer)).or_default() -= 1;
            let lies = match coin.place {
                Place::Wallet => Account::Wallet(grant.member),
                Place::Held(_) => Account::Held(grant.member),
                Place::At { by, .. } => Account::Accepted {
                    by,
                    from: grant.issuer,
                },
                Place::Filled(creditor) => Account::Deficit(grant.member, creditor),
                Place::Expired => Account::Expired(grant.issuer),
                Place::TakenBack => Account::Issued(grant.issuer),
            };
            *sums.entry(lies).or_default() += 1;
        }
        for grant in &self.grants {
            *sums
                .entry(Account::Deficit(grant.member, grant.issuer))
                .or_default() -= grant.owed;
            *sums.entry(Account::Issued(grant.issuer)).or_default() += grant.owed;
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    /// What every spend and reservation took and got back, by its entry.
    pub fn drawn(&self) -> BTreeMap<JournalId, Vec<Drawn>> {
        let taken = self.spends.iter().chain(&self.holds);
        taken
            .map(|taken| (taken.journal, taken.drawn.clone()))
            .collect()
    }

    /// What the member sees: what can be spent at this moment, and what of it with one shop alone.
    pub fn seen(&self, member: MemberId, at: Instant) -> (i64, BTreeMap<MerchantId, i64>) {
        let open = |only: Option<MerchantId>| {
            self.count(|grant, place| {
                let its = grant.member == member && place == Place::Wallet && grant.is_open(at);
                its && only.is_none_or(|only| grant.only_at == Some(only))
            })
        };
        let shops = self
            .shops
            .iter()
            .map(|(shop, _)| (*shop, open(Some(*shop))));
        (
            open(None),
            shops.filter(|(_, points)| *points > 0).collect(),
        )
    }
}
