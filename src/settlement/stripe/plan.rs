//! What is to go through Stripe, pure: of what is due, what an invoice is to be made of, and what can
//! be transferred.

use std::collections::BTreeMap;

use super::{Leg, LegKind, LegState};
use crate::{
    kernel::{AmountError, ids::MerchantId},
    settlement::{PaymentLine, paying::PaymentState},
};

/// An invoice or a transfer that is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: LegKind,
    /// Who pays the invoice, or receives the transfer.
    pub(super) merchant: MerchantId,
    /// The payments' numbers, in their order.
    pub(super) lines: Vec<i32>,
    /// Their sum, in minor units.
    pub(super) amount: i64,
}

impl Wanted {
    /// The transfer of a payment; none where the operator receives.
    pub(super) fn transfer(line: &PaymentLine) -> Option<Self> {
        Some(Self {
            kind: LegKind::Transfer,
            merchant: line.payment.to?,
            lines: vec![line.line],
            amount: line.payment.amount,
        })
    }
}

/// Whom to ask what of, and to whom it will go in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The invoices, by payer, then the transfers, by line.
    pub(super) wanted: Vec<Wanted>,
    /// Every merchant to which something of it will be transferred, in order, each once.
    pub(super) receivers: Vec<MerchantId>,
}

/// What is to be asked for: one invoice for each merchant that pays, over all that it pays; a transfer
/// for what the operator pays, and for what is paid in already. What was asked for before and was not
/// ended is not asked for again.
///
/// # Errors
/// [`AmountError::Overflow`].
pub(super) fn plan(payments: &[PaymentLine], legs: &[Leg]) -> Result<Plan, AmountError> {
    let living = |kind: LegKind, line: i32| {
        let mut legs = legs.iter().filter(|leg| leg.state != LegState::Void);
        legs.find(|leg| leg.kind == kind && leg.lines.contains(&line))
    };
    let mut invoices: BTreeMap<MerchantId, Wanted> = BTreeMap::new();
    let (mut transfers, mut receivers) = (Vec::new(), Vec::new());
    let due = payments.iter();
    for line in due.filter(|line| line.state == PaymentState::Due) {
        let paid_in = match line.payment.from {
            None => true,
            Some(payer) => match living(LegKind::Invoice, line.line) {
                Some(invoice) if invoice.state == LegState::Paid => true,
                Some(_) => continue,
                None => {
                    let invoice = invoices.entry(payer).or_insert_with(|| Wanted {
                        kind: LegKind::Invoice,
                        merchant: payer,
                        lines: Vec::new(),
                        amount: 0,
                    });
                    invoice.lines.push(line.line);
                    let amount = invoice.amount.checked_add(line.payment.amount);
                    invoice.amount = amount.ok_or(AmountError::Overflow)?;
                    false
                }
            },
        };
        if living(LegKind::Transfer, line.line).is_some() {
            continue;
        }
        receivers.extend(line.payment.to);
        if paid_in {
            transfers.extend(Wanted::transfer(line));
        }
    }
    receivers.sort_unstable();
    receivers.dedup();
    Ok(Plan {
        wanted: invoices.into_values().chain(transfers).collect(),
        receivers,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        kernel::ids::{LegId, SettlementId},
        settlement::netting::Payment,
    };

    fn merchant(number: u128) -> MerchantId {
        MerchantId::from_uuid(Uuid::from_u128(number))
    }

    /// 1 pays 2 and 3, 4 pays the operator, the operator pays 3.
    fn payments() -> Vec<PaymentLine> {
        let parties = [
            (Some(1), Some(2), 5_75),
            (Some(1), Some(3), 4_50),
            (Some(4), None, 10),
            (None, Some(3), 20),
        ];
        let lines = (0..).zip(parties);
        lines
            .map(|(line, (from, to, amount))| PaymentLine {
                settlement: SettlementId::from_uuid(Uuid::nil()),
                line,
                payment: Payment {
                    from: from.map(merchant),
                    to: to.map(merchant),
                    amount,
                },
                from_code: None,
                to_code: None,
                state: PaymentState::Due,
                record: None,
                cover: None,
            })
            .collect()
    }

    fn leg(kind: LegKind, lines: &[i32], state: LegState) -> Leg {
        Leg {
            id: LegId::from_uuid(Uuid::nil()),
            settlement: SettlementId::from_uuid(Uuid::nil()),
            kind,
            merchant: merchant(1),
            code: None,
            lines: lines.to_vec(),
            amount: 1,
            currency: "cny".to_owned(),
            due_days: None,
            account: None,
            state,
            round: 0,
            attempts: 0,
            keys: 0,
            problem: None,
            stripe_id: None,
            created_at: "2026-07-01T00:00:00Z".parse().unwrap(),
            begun_at: None,
            changed_at: "2026-07-01T00:00:00Z".parse().unwrap(),
        }
    }

    /// Kind, merchant, lines and amount.
    type Told = (char, u128, Vec<i32>, i64);

    /// What is wanted, and who will receive.
    fn told(payments: &[PaymentLine], legs: &[Leg]) -> (Vec<Told>, Vec<u128>) {
        let number = |merchant: MerchantId| merchant.uuid().as_u128();
        let plan = plan(payments, legs).unwrap();
        let wanted = plan.wanted.into_iter().map(|one| {
            let kind = if one.kind == LegKind::Invoice {
                'i'
            } else {
                't'
            };
            (kind, number(one.merchant), one.lines, one.amount)
        });
        let receivers = plan.receivers.into_iter().map(number).collect();
        (wanted.collect(), receivers)
    }

    #[test]
    fn payers_get_one_invoice_each_and_what_the_operator_pays_goes_at_once() {
        let wanted = vec![
            ('i', 1, vec![0, 1], 10_25),
            ('i', 4, vec![2], 10),
            ('t', 3, vec![3], 20),
        ];
        assert_eq!(told(&payments(), &[]), (wanted, vec![2, 3]));
    }

    #[test]
    fn what_was_asked_for_is_not_asked_for_again_unless_it_was_ended() {
        use LegState::{Failed, Mismatch, Open, Paid, Sent, Void};
        let invoice = |state| leg(LegKind::Invoice, &[0, 1], state);
        let transfer = |state| leg(LegKind::Transfer, &[1], state);
        let mut payments = payments();
        payments.truncate(2);
        for state in [Open, Failed, Mismatch] {
            assert_eq!(told(&payments, &[invoice(state)]), (vec![], vec![]));
        }
        let again = vec![('i', 1, vec![0, 1], 10_25)];
        assert_eq!(told(&payments, &[invoice(Void)]), (again, vec![2, 3]));
        // Paid in, one of the two sent on, and of the other the transfer was ended.
        let first = ('t', 2, vec![0], 5_75);
        let legs = [invoice(Void), invoice(Paid), transfer(Sent)];
        assert_eq!(told(&payments, &legs), (vec![first.clone()], vec![2]));
        let legs = [invoice(Paid), transfer(Void), transfer(Failed)];
        assert_eq!(told(&payments, &legs), (vec![first], vec![2]));
        // What somebody recorded is no matter of Stripe's.
        payments[0].state = PaymentState::Offset;
        let rest = vec![('i', 1, vec![1], 4_50)];
        assert_eq!(told(&payments, &[invoice(Void)]), (rest, vec![3]));
    }
}
