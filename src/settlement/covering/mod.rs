//! A merchant that does not pay: who bears it.
//!
//! Somebody says that payments of a merchant that are due were not made ([`raise`]), and somebody
//! else finds it so ([`declare`]). Then every such payment is met: from the merchant's deposit, each
//! by its share, and beyond that as the mall's programme says. Either the operator pays in the
//! merchant's place, or each creditor lacks its part, which becomes a claim in the first period that
//! is still open: lines of their own, so that it is settled like everything else and never forgotten.
//! Shares are rounded by largest remainder, so that they add up.
//!
//! Source: settlement.md, example H.

mod store;

use super::{Approval, calculation::Carried, netting::Party, paying, store as settlements, stripe};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{DeclareDefault, RaiseDefault},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{MerchantId, SettlementId},
        money::{Currency, split},
        time::Period,
    },
    ledger::{self, account::Account, transfer::Kind},
    merchants::credit::{self, Credit, CreditError, OnDefault, Standing, Step, Withheld, step},
};

/// A payment that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    settlement: SettlementId,
    line: i32,
    to: Party,
    amount: i64,
}

impl Due {
    fn reference(&self) -> String {
        paying::reference(self.settlement, self.line)
    }
}

/// How a payment was met whose payer was found in default. Minor units; they add up to the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cover {
    /// From the payer's deposit.
    pub deposit: i64,
    /// By the operator in the payer's place.
    pub guarantee: i64,
    /// Not at all: the receiver has a claim in a later period.
    pub carried: i64,
}

/// How payments are met, in their order.
///
/// # Errors
/// [`AmountError`] for amounts that the books cannot hold.
///
/// Source: settlement.md, examples H and N.
fn covers(due: &[i64], deposit: i64, on_default: OnDefault) -> Result<Vec<Cover>, AmountError> {
    let all = due.iter().try_fold(0_i64, |sum, one| sum.checked_add(*one));
    let shares = split(deposit.min(all.ok_or(AmountError::Overflow)?), due)?;
    let cover = |(amount, deposit): (&i64, i64)| {
        let rest = amount.checked_sub(deposit).ok_or(AmountError::Overflow)?;
        let (guarantee, carried) = match on_default {
            OnDefault::Guarantee => (rest, 0),
            OnDefault::ProRata => (0, rest),
        };
        Ok(Cover {
            deposit,
            guarantee,
            carried,
        })
    };
    due.iter().zip(shares).map(cover).collect()
}

/// What defaults left unpaid and this period is to settle.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub(super) async fn carried_into(
    tx: &mut ReadTx,
    period: Period,
) -> Result<Vec<Carried>, db::Error> {
    store::carried_into(tx, period).await
}

/// Says that a merchant does not pay what is due; somebody else declares it, or it is withdrawn.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::NothingDue`], [`CreditError::NoStep`].
pub async fn raise(
    tx: &mut Tx,
    grant: &Grant<RaiseDefault>,
    merchant: MerchantId,
) -> Result<Credit, CreditError> {
    whole_mall(grant.reach())?;
    let due = store::lock_settlements(tx, merchant).await?;
    let mut it = credit::lock(tx, merchant).await?;
    let before = it.clone();
    step(it.place(), Step::RaiseDefault)?;
    if due.is_empty() {
        return Err(CreditError::NothingDue);
    }
    it.raised = Some((tx.now(), tx.actor().to_string()));
    credit::save(tx, &before, &it).await?;
    let done = Done::to(Act::DefaultRaised, merchant).is(Field::Count, due.len());
    audit::record(tx, done).await?;
    Ok(it)
}

/// Takes back that a merchant does not pay: anybody may who may raise it.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::NoStep`].
pub async fn withdraw(
    tx: &mut Tx,
    grant: &Grant<RaiseDefault>,
    merchant: MerchantId,
) -> Result<Credit, CreditError> {
    whole_mall(grant.reach())?;
    let mut it = credit::lock(tx, merchant).await?;
    let before = it.clone();
    step(it.place(), Step::WithdrawDefault)?;
    it.raised = None;
    credit::save(tx, &before, &it).await?;
    audit::record(tx, Done::to(Act::DefaultWithdrawn, merchant)).await?;
    Ok(it)
}

/// Finds a merchant in default: everything that it has to pay and that is due is met from its
/// deposit, and beyond that as `on_default` says. It gives no points any more; those that it gave
/// stay good, and what falls due of it later is met in the same way: raised and declared again.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::NoStep`]; [`CreditError::NeedsSecondPerson`] for
/// whoever raised it, where the programme asks for two; [`CreditError::NothingDue`] where everything
/// was paid meanwhile; [`CreditError::AtStripe`] while an invoice to it can still be paid.
pub async fn declare(
    tx: &mut Tx,
    grant: &Grant<DeclareDefault>,
    merchant: MerchantId,
    on_default: OnDefault,
    approval: Approval,
    currency: Currency,
) -> Result<Credit, CreditError> {
    whole_mall(grant.reach())?;
    // Settlements before credit, as for whoever records a payment.
    let ids = store::lock_settlements(tx, merchant).await?;
    let mut it = credit::lock(tx, merchant).await?;
    step(it.place(), Step::DeclareDefault)?;
    let actor = tx.actor().to_string();
    let raised_by = it.raised.as_ref().map(|(_, by)| by);
    if approval == Approval::Two && raised_by == Some(&actor) {
        return Err(CreditError::NeedsSecondPerson);
    }
    let due = store::due(tx, &ids, merchant).await?;
    if due.is_empty() {
        return Err(CreditError::NothingDue);
    }
    for id in &ids {
        let engaged = stripe::engaged(tx, *id).await?;
        if due
            .iter()
            .any(|one| one.settlement == *id && engaged.contains(&one.line))
        {
            return Err(CreditError::AtStripe);
        }
    }
    let amounts: Vec<i64> = due.iter().map(|one| one.amount).collect();
    let parts = covers(&amounts, it.deposit, on_default)?;
    let covers: Vec<(Due, Cover)> = due.into_iter().zip(parts).collect();
    let kept = it.deposit;
    post(tx, merchant, &covers, currency).await?;
    for id in ids {
        if let Some(mut settlement) = settlements::lock_id(tx, id).await? {
            paying::close_if_paid(tx, &mut settlement).await?;
        }
    }
    // What was drawn is in the row meanwhile.
    it = credit::lock(tx, merchant).await?;
    let before = it.clone();
    it.raised = None;
    // Who is in default already stays so since then.
    if it.standing != Standing::Defaulted {
        it.standing = Standing::Defaulted;
        it.declared = Some((tx.now(), actor));
        it.withheld = Some((Withheld::Defaulted, tx.now()));
    }
    credit::save(tx, &before, &it).await?;
    let (standing, now) = (before.standing.as_str(), it.standing.as_str());
    let done = Done::to(Act::DefaultDeclared, merchant).changed(Field::State, standing, now);
    let done = done.changed(Field::Deposit, kept, it.deposit);
    audit::record(tx, done.is(Field::Count, covers.len())).await?;
    Ok(it)
}

/// Writes down how payments were met, and moves the money in the ledger: what is carried is no claim
/// of its own period any more, and becomes one of the period that it is carried to.
async fn post(
    tx: &mut Tx,
    merchant: MerchantId,
    covers: &[(Due, Cover)],
    currency: Currency,
) -> Result<(), CreditError> {
    // Until the commit nobody cuts that period off.
    let period = ledger::open_period(tx).await?;
    store::cover(tx, covers, period).await?;
    let payable = Account::Payable(Some(merchant));
    for (due, cover) in covers {
        if cover.deposit > 0 {
            let payment = (due.settlement, due.line);
            credit::draw(tx, merchant, cover.deposit, payment, currency).await?;
        }
        let guarantee = (Account::Guarantee(merchant), payable, cover.guarantee);
        let carried = (Account::Receivable(due.to), payable, cover.carried);
        let moves: Vec<_> = [guarantee, carried]
            .into_iter()
            .filter(|(_, _, amount)| *amount > 0)
            .collect();
        let source = due.settlement.uuid();
        ledger::move_money(tx, Kind::Cover, source, period, currency.code(), &moves).await?;
    }
    Ok(())
}

fn whole_mall(reach: Reach) -> Result<(), CreditError> {
    match reach {
        Reach::Mall => Ok(()),
        Reach::Merchant(_) | Reach::Member(_) => Err(CreditError::UnknownMerchant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(deposit: i64, on_default: OnDefault) -> Vec<(i64, i64, i64)> {
        let covers = covers(&[21_00, 9_00], deposit, on_default).unwrap();
        let part = |cover: Cover| (cover.deposit, cover.guarantee, cover.carried);
        covers.into_iter().map(part).collect()
    }

    #[test]
    fn example_h_the_operator_steps_in_or_each_creditor_bears_its_part() {
        assert_eq!(
            parts(20_00, OnDefault::Guarantee),
            [(14_00, 7_00, 0), (6_00, 3_00, 0)]
        );
        assert_eq!(
            parts(20_00, OnDefault::ProRata),
            [(14_00, 0, 7_00), (6_00, 0, 3_00)]
        );
        assert_eq!(
            parts(40_00, OnDefault::ProRata),
            [(21_00, 0, 0), (9_00, 0, 0)]
        );
        assert_eq!(
            parts(0, OnDefault::Guarantee),
            [(0, 21_00, 0), (0, 9_00, 0)]
        );
    }

    #[test]
    fn fractions_go_to_the_largest_remainders_and_nobody_gets_more_than_it_is_owed() {
        let of = |due: &[i64], deposit| -> Vec<i64> {
            let covers = covers(due, deposit, OnDefault::ProRata).unwrap();
            covers.iter().map(|cover| cover.deposit).collect()
        };
        assert_eq!(of(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(of(&[333, 333, 334], 999), [333, 333, 333]);
        assert_eq!(of(&[1, 1_000_000], 1_000_000), [1, 999_999]);
    }
}
