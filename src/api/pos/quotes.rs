//! Why a purchase earns what it earns, in sentences. Pure.

use crate::{
    earning::{Receipt, rules::Earned},
    kernel::money::{Currency, decimal},
    merchants::credit::Withheld,
};

/// A sentence for what is left out, one for each rule, and one where nothing is earned.
pub(super) fn explain(receipt: &Receipt, currency: Currency) -> Vec<String> {
    let mut lines = Vec::new();
    if receipt.paid_by_points > 0 {
        let (paid, total) = (
            money(receipt.paid_by_points, currency),
            money(receipt.total, currency),
        );
        lines.push(format!("Points have paid {paid} of {total}."));
    }
    lines.extend(receipt.rules.iter().map(|earned| rule(earned, currency)));
    if receipt.member.is_none() {
        lines.push("No member is named, so nothing is earned.".to_owned());
    } else if let Some(why) = receipt.withheld {
        lines.push(withheld(why).to_owned());
    } else if receipt.rules.is_empty() {
        lines.push("No rule gives points for this purchase at this store.".to_owned());
    }
    lines
}

fn withheld(why: Withheld) -> &'static str {
    match why {
        Withheld::Prepaid => "The merchant has used up the points that it paid for in advance.",
        Withheld::Limit => "The merchant gives no points until it is covered again.",
        Withheld::WindingDown => "The merchant is leaving the alliance and gives no points.",
        Withheld::Exited => "The merchant has left the alliance.",
        Withheld::Defaulted => "The merchant did not pay what it owed and gives no points.",
    }
}

fn rule(earned: &Earned, currency: Currency) -> String {
    let Earned {
        rule,
        points,
        capped,
        ..
    } = earned;
    let amount = money(earned.amount, currency);
    if *capped == 0 {
        format!("The rule {rule} gives {points} points for {amount}.")
    } else {
        format!(
            "The rule {rule} gives {points} points for {amount}; a limit keeps {capped} more back."
        )
    }
}

fn money(minor: i64, currency: Currency) -> String {
    format!("{} {}", decimal(minor, currency.places()), currency.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{ids::PurchaseId, time::Instant};

    fn receipt(rules: Vec<Earned>) -> Receipt {
        Receipt {
            purchase: PurchaseId::from_uuid(uuid::Uuid::nil()),
            replayed: false,
            total: 100_00,
            paid_by_points: 20_00,
            points: 0,
            rules,
            withheld: None,
            programme: 1,
            member: None,
            balance: None,
            occurred_at: Instant::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_rule_and_every_reason_for_nothing_is_a_sentence() {
        let currency = Currency::from_code("CNY").unwrap();
        let base = Earned {
            rule: "base".to_owned(),
            amount: 80_00,
            points: 50,
            capped: 30,
            own: None,
        };
        assert_eq!(
            explain(&receipt(vec![base]), currency),
            [
                "Points have paid 20.00 CNY of 100.00 CNY.",
                "The rule base gives 50 points for 80.00 CNY; a limit keeps 30 more back.",
                "No member is named, so nothing is earned.",
            ]
        );
    }
}
