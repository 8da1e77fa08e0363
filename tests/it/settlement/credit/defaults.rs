//! Merchants that do not pay (example H).

use std::collections::BTreeMap;

use rotunda::{
    kernel::ids::SettlementId,
    merchants::credit::{CreditError, Moved, NoStep, OnDefault, Standing, Withheld},
    settlement::{
        LineKind, State,
        paying::{Method, PaymentError, PaymentState},
    },
};

use crate::support::settling::{Mall, Shop, at};

/// A mall in which A owes C 21.00 and D 9.00 of June, has a deposit of 20.00 and does not pay.
async fn unpaid() -> (Mall, [Shop; 4], SettlementId) {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let shops @ [a, _, c, d] = mall.shops(["a", "b", "c", "d"]).await;
    let ada = mall.member("1").await;
    mall.moves(a, Moved::Paid(20_00), "D-1").await.unwrap();
    mall.earns(ada, a, 5_000, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 2_100, "2026-06-03T04:00:00Z").await;
    mall.spends(ada, d, 900, "2026-06-04T04:00:00Z").await;
    let june = mall.closes("2026-06").await.settlement;
    assert_eq!(june.state, State::Confirmed);
    (mall, shops, june.id)
}

/// What A, C, D, the operator's guarantee and the deposit come to after a default, each as owed to
/// it, and what the payments say: from the deposit, from the operator, carried.
async fn figures(mall: &Mall, shops: [Shop; 4], id: SettlementId) -> ([i64; 5], Vec<[i64; 3]>) {
    let [a, _, c, d] = shops;
    let held = [
        mall.holds("payable", Some(a)).await,
        mall.holds("receivable", Some(c)).await,
        mall.holds("receivable", Some(d)).await,
        mall.holds("guarantee", Some(a)).await,
        mall.holds("deposit", Some(a)).await,
    ];
    let covers = mall.payments(id, None).await.into_iter().map(|line| {
        assert_eq!(line.state, PaymentState::Covered);
        let cover = line.cover.unwrap();
        [cover.deposit, cover.guarantee, cover.carried]
    });
    (held, covers.collect())
}

#[tokio::test]
async fn example_h_the_operator_pays_in_the_place_of_who_does_not() {
    let (mall, shops, id) = unpaid().await;
    let a = shops[0];
    mall.accuses(1, a).await.unwrap();
    let stands = mall.declares(2, a, OnDefault::Guarantee).await.unwrap();
    assert_eq!((stands.standing, stands.deposit), (Standing::Defaulted, 0));
    // OP -10.00, C +21.00, D +9.00, deposit -20.00 = 0.
    let (held, covers) = figures(&mall, shops, id).await;
    assert_eq!(held, [0, 21_00, 9_00, -10_00, 0]);
    assert_eq!(covers, [[14_00, 7_00, 0], [6_00, 3_00, 0]]);
    assert_eq!(mall.settlement(id).await.state, State::Closed);
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let july = mall.nets("2026-07").await;
    assert!(july.values().all(|net| *net == 0), "{july:?}");
    mall.closes("2026-07").await;
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn example_h_or_each_creditor_bears_its_part_and_has_a_claim_in_the_next_month() {
    let (mall, shops, id) = unpaid().await;
    let [a, b, c, d] = shops;
    mall.accuses(1, a).await.unwrap();
    mall.declares(2, a, OnDefault::ProRata).await.unwrap();
    // C +14.00, D +6.00, deposit -20.00 = 0; 7.00 and 3.00 are carried.
    let (held, covers) = figures(&mall, shops, id).await;
    assert_eq!(held, [0, 14_00, 6_00, 0, 0]);
    assert_eq!(covers, [[14_00, 0, 7_00], [6_00, 0, 3_00]]);
    assert_eq!(mall.settlement(id).await.state, State::Closed);

    // July has them as lines of their own, beside what happened in it.
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let bob = mall.member("2").await;
    mall.earns(bob, b, 100, "2026-07-03T04:00:00Z").await;
    mall.spends(bob, c, 100, "2026-07-04T04:00:00Z").await;
    let preview = mall.preview("2026-07").await;
    let carried = |whose: Shop| {
        let lines = preview.calculation.lines.iter();
        let own = lines.filter(|line| line.party == Some(whose.merchant));
        let of = own.filter(|line| line.kind == LineKind::Carried);
        // Which of two partners comes first is as random as their ids.
        of.map(|line| (line.partner, line.amount))
            .collect::<BTreeMap<_, _>>()
    };
    let partner = |shop: Shop| Some(shop.merchant);
    let owed = [(partner(c), -7_00), (partner(d), -3_00)];
    assert_eq!(carried(a), BTreeMap::from(owed));
    assert_eq!(carried(c), BTreeMap::from([(partner(a), 7_00)]));
    assert_eq!(carried(d), BTreeMap::from([(partner(a), 3_00)]));
    let nets = mall.nets("2026-07").await;
    assert_eq!(
        [nets["a"], nets["b"], nets["c"], nets["d"]],
        [-10_00, -1_00, 8_00, 3_00]
    );
    assert_eq!(nets["operator"], 0);
    mall.closes("2026-07").await;
    // Each claim is in the ledger once.
    assert_eq!(mall.holds("receivable", Some(d)).await, 9_00);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn what_is_carried_and_not_paid_again_is_met_again_and_never_lost() {
    let (mall, shops, _) = unpaid().await;
    let [a, _, c, d] = shops;
    mall.accuses(1, a).await.unwrap();
    let first = mall.declares(2, a, OnDefault::ProRata).await.unwrap();
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let july = mall.closes("2026-07").await.settlement;
    // A pays 4.00 into its deposit, and of July's 10.00 nothing.
    mall.moves(a, Moved::Paid(4_00), "D-2").await.unwrap();
    mall.accuses(2, a).await.unwrap();
    let own = mall.declares(2, a, OnDefault::ProRata).await;
    assert!(matches!(own, Err(CreditError::NeedsSecondPerson)));
    let second = mall.declares(1, a, OnDefault::ProRata).await.unwrap();
    assert_eq!((second.standing, second.deposit), (Standing::Defaulted, 0));
    assert_eq!(
        (second.declared, second.withheld),
        (first.declared, first.withheld)
    );
    let (held, covers) = figures(&mall, shops, july.id).await;
    // C +14.00 +2.80, D +6.00 +1.20; 4.20 and 1.80 are carried once more.
    assert_eq!(held, [0, 16_80, 7_20, 0, 0]);
    assert_eq!(covers, [[2_80, 0, 4_20], [1_20, 0, 1_80]]);
    mall.clock.set(at("2026-09-02T00:00:00Z"));
    let nets = mall.nets("2026-08").await;
    assert_eq!([nets["a"], nets["c"], nets["d"]], [-6_00, 4_20, 1_80]);
    mall.closes("2026-08").await;
    assert_eq!(mall.holds("receivable", Some(c)).await, 21_00);
    assert_eq!(mall.holds("receivable", Some(d)).await, 9_00);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn two_persons_find_a_default_once_and_nothing_else_changes_anything() {
    let (mall, [a, b, c, _], id) = unpaid().await;
    let before = mall.rows().await;
    let nothing = mall.accuses(1, b).await;
    assert!(matches!(nothing, Err(CreditError::NothingDue)));
    let unraised = mall.declares(2, a, OnDefault::ProRata).await;
    assert!(matches!(unraised, Err(CreditError::NoStep(_))));
    let nobody = mall.withdraws(2, a).await;
    assert!(matches!(nobody, Err(CreditError::NoStep(_))));
    assert_eq!(mall.rows().await, before);

    mall.accuses(1, a).await.unwrap();
    let before = mall.rows().await;
    let own = mall.declares(1, a, OnDefault::ProRata).await;
    assert!(matches!(own, Err(CreditError::NeedsSecondPerson)));
    let twice = mall.accuses(2, a).await;
    assert!(matches!(twice, Err(CreditError::NoStep(NoStep { .. }))));
    assert_eq!(mall.rows().await, before);
    mall.withdraws(1, a).await.unwrap();
    assert!(mall.credit_of(a).await.credit.raised.is_none());

    mall.accuses(1, a).await.unwrap();
    mall.declares(2, a, OnDefault::ProRata).await.unwrap();
    let before = mall.rows().await;
    for who in [1, 2, 3] {
        let again = mall.declares(who, a, OnDefault::Guarantee).await;
        assert!(matches!(again, Err(CreditError::NoStep(_))));
        let again = mall.accuses(who, a).await;
        assert!(matches!(again, Err(CreditError::NothingDue)));
    }
    let paid = mall.records(id, 0, Method::Rent, "R").await;
    assert!(matches!(paid, Err(PaymentError::AlreadyRecorded)));
    assert_eq!(mall.rows().await, before);

    // It gives no points any more; those that it gave are good.
    let programme = mall.programme("postpaid");
    let bob = mall.member("2").await;
    let bought = mall
        .buys(&programme, bob, a, ("1", 100), "2026-07-02T00:00:00Z")
        .await;
    let bought = bought.unwrap();
    assert_eq!(
        (bought.points, bought.withheld),
        (0, Some(Withheld::Defaulted))
    );
    let ada = mall.member("3").await;
    mall.earns(ada, a, 10, "2026-07-01T00:00:00Z").await;
    mall.spends(ada, c, 10, "2026-07-01T01:00:00Z").await;
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn what_was_paid_meanwhile_is_no_part_of_a_default() {
    let (mall, [a, ..], id) = unpaid().await;
    mall.accuses(1, a).await.unwrap();
    mall.records(id, 1, Method::Rent, "R-1").await.unwrap();
    mall.declares(2, a, OnDefault::ProRata).await.unwrap();
    let lines = mall.payments(id, None).await;
    let states: Vec<PaymentState> = lines.iter().map(|line| line.state).collect();
    assert_eq!(states, [PaymentState::Covered, PaymentState::Offset]);
    assert_eq!(lines[0].cover.unwrap().deposit, 20_00);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_payment_is_met_from_the_deposit_as_far_as_that_goes() {
    let (mall, [a, ..], id) = unpaid().await;
    let before = mall.rows().await;
    let short = mall
        .records(id, 0, Method::Deposit, "from the deposit")
        .await;
    let Err(PaymentError::Credit(CreditError::TooMuch { deposit, wanted })) = short else {
        panic!("{short:?}");
    };
    assert_eq!((deposit, wanted), (20_00, 21_00));
    assert_eq!(mall.rows().await, before);
    let met = mall
        .records(id, 1, Method::Deposit, "from the deposit")
        .await;
    assert_eq!(met.unwrap().state, PaymentState::Paid);
    assert_eq!(mall.deposit_of(a).await, 11_00);
    let again = mall
        .records(id, 1, Method::Deposit, "from the deposit")
        .await;
    again.unwrap();
    assert_eq!(mall.deposit_of(a).await, 11_00);
    assert_eq!(mall.broken().await, [""; 0]);
}
