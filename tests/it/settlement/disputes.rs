//! Objections: only a line's own cents wait, and whoever gets them gets them once.

use std::collections::BTreeMap;

use rotunda::{
    authz::action::{CloseSettlement, DecideDispute, ReadDisputes},
    kernel::ids::{DisputeId, SettlementId},
    merchants::agreements::{AgreementTerms, Breakage, Cost, Model, Price},
    settlement::{
        self, Course, State,
        calculation::Adjustment,
        disputes::{self, Dispute, DisputeError, DisputeState, Outcome},
        netting::Party,
    },
};
use uuid::Uuid;

use crate::support::{
    periods::ALL,
    settling::{Mall, Shop, Spent, at, period_of},
};

/// Example L: A owes C 120.00 for June, 7.00 of them for one line.
struct June {
    mall: Mall,
    a: Shop,
    b: Shop,
    c: Shop,
    id: SettlementId,
    line: Spent,
}

async fn example_l() -> June {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.course = Course::default();
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 12_000, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 11_300, "2026-06-02T04:00:00Z").await;
    let line = mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    mall.earns(ada, b, 50, "2026-06-04T04:00:00Z").await;
    let id = mall.closed_and_issued("2026-06").await.id;
    June {
        mall,
        a,
        b,
        c,
        id,
        line,
    }
}

impl June {
    async fn dispute(&self, shop: Shop) -> Result<Dispute, DisputeError> {
        let own = self.mall.statement_of(self.id, shop).await;
        self.mall.objects(shop, own, self.line.journal, 0).await
    }

    /// The merchants' time goes by.
    async fn time_passes(&self) {
        self.mall.clock.set(at("2026-07-07T16:00:00Z"));
        assert_eq!(self.mall.confirms_what_is_due().await, 1);
    }

    /// What each party was given by what was fixed to be paid; the operator is none.
    async fn moved(&self) -> BTreeMap<Party, i64> {
        let mut moved = BTreeMap::new();
        for line in self.mall.payments(self.id, None).await {
            *moved.entry(line.payment.from).or_insert(0) -= line.payment.amount;
            *moved.entry(line.payment.to).or_insert(0) += line.payment.amount;
        }
        moved
    }

    async fn adjustments(&self, period: &str) -> Vec<Adjustment> {
        let mut tx = self.mall.reading().await;
        disputes::adjustments(&mut tx, period_of(period))
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn example_l_the_rest_settles_and_what_was_held_goes_to_who_it_belongs_to() {
    for outcome in [Outcome::Upheld, Outcome::Rejected] {
        let june = example_l().await;
        let dispute = june.dispute(june.a).await.unwrap();
        assert_eq!((dispute.amount, dispute.state), (7_00, DisputeState::Open));
        assert_eq!(
            (dispute.payer, dispute.receiver),
            (june.a.merchant, june.c.merchant)
        );
        // 2 July and thirty days, to the end of the day.
        assert_eq!(dispute.decide_by, at("2026-08-01T16:00:00Z"));
        june.time_passes().await;
        let (a, c) = (Some(june.a.merchant), Some(june.c.merchant));
        let moved = BTreeMap::from([(a, -120_00), (c, 113_00), (None, 7_00)]);
        assert_eq!(june.moved().await, moved);
        // The statements say what they said.
        let said = june.mall.statements(june.id, None).await;
        let mut nets: Vec<i64> = said.iter().map(|one| one.position.net).collect();
        nets.sort_unstable();
        assert_eq!(nets, [-120_00, 0, 120_00]);
        assert_eq!(june.mall.broken().await, [""; 0]);

        let before = june.moved().await;
        let decided = june.mall.decides(5, dispute.id, outcome).await.unwrap();
        assert!(decided.held);
        assert_eq!(june.moved().await, before, "what was fixed stays");
        let merchant = match outcome {
            Outcome::Upheld => june.a.merchant,
            Outcome::Rejected => june.c.merchant,
        };
        let amount = 7_00;
        assert_eq!(
            june.adjustments("2026-07").await,
            [Adjustment { merchant, amount }]
        );
        assert_eq!(june.adjustments("2026-08").await, []);
        // July pays it out: 7.00 from the operator.
        june.mall.clock.set(at("2026-08-02T00:00:00Z"));
        let july = june.mall.closed_and_issued("2026-07").await;
        let said = june.mall.statements(july.id, None).await;
        let nets: Vec<_> = said
            .iter()
            .map(|one| (one.merchant, one.position.adjusted, one.position.net))
            .collect();
        assert_eq!(nets, [(merchant, 7_00, 7_00)]);
        june.mall.clock.set(at("2026-08-09T00:00:00Z"));
        assert_eq!(june.mall.confirms_what_is_due().await, 1);
        let code = match outcome {
            Outcome::Upheld => "a",
            Outcome::Rejected => "c",
        };
        let paid = [("-".to_owned(), code.to_owned(), 7_00)];
        assert_eq!(june.mall.paid(july.id).await, paid);
        let again = june.mall.decides(5, dispute.id, outcome).await;
        assert!(matches!(again, Err(DisputeError::AlreadyDecided)));
        assert_eq!(june.mall.broken().await, [""; 0]);
        june.mall.every_face_agrees().await;
    }
}

#[tokio::test]
async fn what_is_decided_in_time_only_changes_what_is_paid() {
    for (outcome, paid) in [(Outcome::Upheld, 113_00), (Outcome::Rejected, 120_00)] {
        let june = example_l().await;
        let dispute = june.dispute(june.c).await.unwrap();
        assert_eq!(dispute.merchant, june.c.merchant);
        let decided = june.mall.decides(5, dispute.id, outcome).await.unwrap();
        assert!(!decided.held);
        june.time_passes().await;
        let (a, c) = (Some(june.a.merchant), Some(june.c.merchant));
        assert_eq!(june.moved().await, BTreeMap::from([(a, -paid), (c, paid)]));
        assert_eq!(june.adjustments("2026-07").await, []);
        assert_eq!(june.mall.broken().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_line_is_disputed_once_by_one_of_its_two_merchants_and_only_if_it_moves_money() {
    let june = example_l().await;
    let (mall, journal) = (&june.mall, june.line.journal);
    let before = mall.rows().await;
    // Another merchant's line, in one's own statement and in the other's.
    let own = mall.statement_of(june.id, june.b).await;
    let foreign = mall.objects(june.b, own, journal, 0).await;
    assert!(matches!(foreign, Err(DisputeError::UnknownLine)));
    let others = mall.statement_of(june.id, june.a).await;
    let foreign = mall.objects(june.b, others, journal, 0).await;
    assert!(matches!(foreign, Err(DisputeError::UnknownStatement)));
    let nothing = mall.objects(june.a, others, journal, 7).await;
    assert!(matches!(nothing, Err(DisputeError::UnknownLine)));
    assert_eq!(mall.rows().await, before);

    let issued = mall.lines_of(june.a, others, "purchase").await;
    let nothing = mall.objects(june.a, others, issued[0].0, issued[0].1).await;
    assert!(matches!(nothing, Err(DisputeError::MovesNothing)));
    let dispute = june.dispute(june.a).await.unwrap();
    let before = mall.rows().await;
    for shop in [june.a, june.c] {
        let twice = june.dispute(shop).await;
        assert!(matches!(twice, Err(DisputeError::AlreadyDisputed)));
    }
    assert_eq!(mall.rows().await, before);

    // Both sides see it, nobody else does.
    for (shop, seen) in [(june.a, 1), (june.c, 1), (june.b, 0)] {
        let grant = mall.key::<ReadDisputes>("merchant.finance", Some(shop), 3);
        let mut tx = mall.db.read(&grant).await.unwrap();
        let page = disputes::list(&mut tx, &grant, None, &ALL).await.unwrap();
        assert_eq!(page.items.len(), seen);
        let one = disputes::get(&mut tx, &grant, dispute.id).await;
        assert_eq!(one.is_ok(), seen == 1);
    }
    let grant = mall.key::<ReadDisputes>("operator.auditor", None, 6);
    let mut tx = mall.db.read(&grant).await.unwrap();
    for (state, found) in [(DisputeState::Open, 1), (DisputeState::Upheld, 0)] {
        let page = disputes::list(&mut tx, &grant, Some(state), &ALL).await;
        assert_eq!(page.unwrap().items.len(), found);
    }
    let unknown = mall.decides(5, DisputeId::from_uuid(Uuid::nil()), Outcome::Upheld);
    assert!(matches!(unknown.await, Err(DisputeError::UnknownDispute)));
}

#[tokio::test]
async fn a_dispute_comes_in_time_or_not_at_all() {
    let june = example_l().await;
    let mall = &june.mall;
    let own = mall.statement_of(june.id, june.a).await;
    // Who has confirmed has agreed; the other side still has its time.
    mall.confirms(june.a, own).await.unwrap();
    let late = june.dispute(june.a).await;
    let Err(DisputeError::TooLate { until }) = late else {
        panic!("{late:?}");
    };
    assert_eq!(until, at("2026-07-02T00:00:00Z"));
    // Whether or not the house has confirmed by then.
    mall.clock.set(at("2026-07-07T16:00:00Z"));
    let before = mall.rows().await;
    let late = june.dispute(june.c).await;
    let Err(DisputeError::TooLate { until }) = late else {
        panic!("{late:?}");
    };
    assert_eq!(until, at("2026-07-07T16:00:00Z"));
    assert_eq!(mall.rows().await, before);
    mall.clock.set(at("2026-07-07T15:59:59.999999Z"));
    june.dispute(june.c).await.unwrap();
    june.time_passes().await;
    let late = june.dispute(june.c).await;
    assert!(matches!(late, Err(DisputeError::TooLate { .. })));
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn who_raised_a_dispute_does_not_decide_it() {
    let june = example_l().await;
    let dispute = june.dispute(june.a).await.unwrap();
    let before = june.mall.rows().await;
    // The key under which A's finance objected.
    let own = june.mall.decides(3, dispute.id, Outcome::Upheld).await;
    assert!(matches!(own, Err(DisputeError::NeedsSecondPerson)));
    assert_eq!(june.mall.rows().await, before);
}

#[tokio::test]
async fn what_was_held_becomes_part_of_the_first_month_that_is_not_cut_off() {
    let june = example_l().await;
    let mall = &june.mall;
    let dispute = june.dispute(june.a).await.unwrap();
    june.time_passes().await;
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let closed = mall.closes_as(1, "2026-07").await;
    assert_eq!(closed.settlement.state, State::Proofed);
    mall.decides(5, dispute.id, Outcome::Upheld).await.unwrap();
    assert_eq!(june.adjustments("2026-07").await, []);
    assert_eq!(june.adjustments("2026-08").await.len(), 1);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_month_is_not_cut_off_while_somebody_decides_what_becomes_part_of_it() {
    let june = example_l().await;
    let mall = &june.mall;
    let dispute = june.dispute(june.a).await.unwrap();
    june.time_passes().await;
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let decide = mall.key::<DecideDispute>("operator.finance", None, 5);
    let mut deciding = mall.db.write(&decide).await.unwrap();
    disputes::decide(&mut deciding, &decide, dispute.id, Outcome::Upheld, "so")
        .await
        .unwrap();
    let close = mall.key::<CloseSettlement>("operator.finance", None, 1);
    let mut closing = mall.db.write(&close).await.unwrap();
    let (terms, zone) = (&mall.terms, mall.tenant.zone);
    let cut = settlement::cut_off(&mut closing, &close, period_of("2026-07"), terms, zone);
    let waits = tokio::time::timeout(std::time::Duration::from_millis(300), cut);
    assert!(waits.await.is_err(), "it waits for the decision");
    drop(closing);
    deciding.commit().await.unwrap();
    mall.closes_as(1, "2026-07").await;
    assert_eq!(june.adjustments("2026-07").await.len(), 1);
}

/// By what agreement of A the line of 7.00 moves what: what the payer gives and what the receiver gets,
/// when C takes A's points and when it gives them back.
struct Shared {
    terms: AgreementTerms,
    taken: (i64, i64),
    given_back: (i64, i64),
}

fn shared() -> [Shared; 2] {
    let cost = Cost {
        issuer: 8000,
        operator: 1000,
        redeemer: 1000,
    };
    let borne = AgreementTerms {
        cost: Some(cost),
        ..AgreementTerms::default()
    };
    let pool = AgreementTerms {
        model: Model::Pool,
        issue_price: Some(Price {
            points: 1000,
            worth: 1200,
        }),
        breakage: Some(Breakage {
            operator: 10_000,
            issuer: 0,
            fund: 0,
        }),
        ..AgreementTerms::default()
    };
    [
        Shared {
            terms: borne,
            taken: (5_60, 6_30),
            given_back: (6_30, 5_60),
        },
        Shared {
            terms: pool,
            taken: (0, 7_00),
            given_back: (7_00, 0),
        },
    ]
}

/// June in which C took 7.00 of A's points, and gave them back or not; the line that is disputed.
async fn shared_june(terms: AgreementTerms, back: bool) -> June {
    let mut mall = Mall::open("2026-05-20T00:00:00Z").await;
    mall.terms.course = Course::default();
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    mall.agrees(a, "2026-06", terms).await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let ada = mall.member("1").await;
    mall.earns(ada, a, 2_000, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 1_000, "2026-06-02T04:00:00Z").await;
    let mut line = mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    if back {
        let when = "2026-06-04T04:00:00Z";
        line.journal = mall.gives_back(ada, c, line, 700, when).await;
    }
    let id = mall.closed_and_issued("2026-06").await.id;
    June {
        mall,
        a,
        b,
        c,
        id,
        line,
    }
}

#[tokio::test]
async fn of_a_line_that_several_pay_for_each_gets_back_what_it_gave() {
    for one in shared() {
        for (back, (gives, gets)) in [(false, one.taken), (true, one.given_back)] {
            for (outcome, early) in [
                (Outcome::Upheld, true),
                (Outcome::Upheld, false),
                (Outcome::Rejected, true),
                (Outcome::Rejected, false),
            ] {
                let june = shared_june(one.terms.clone(), back).await;
                let mall = &june.mall;
                let (payer, receiver) = if back {
                    (june.c, june.a)
                } else {
                    (june.a, june.c)
                };
                let mut nets: BTreeMap<Party, i64> = BTreeMap::new();
                for one in mall.statements(june.id, None).await {
                    nets.insert(Some(one.merchant), one.position.net);
                    *nets.entry(None).or_default() -= one.position.net;
                }
                let dispute = june.dispute(june.a).await.unwrap();
                assert_eq!(
                    (
                        dispute.payer,
                        dispute.returned,
                        dispute.receiver,
                        dispute.amount
                    ),
                    (payer.merchant, gives, receiver.merchant, gets)
                );
                let mut changes = BTreeMap::new();
                if early {
                    mall.decides(5, dispute.id, outcome).await.unwrap();
                }
                if !early || outcome == Outcome::Upheld {
                    changes.insert(Some(receiver.merchant), -gets);
                    changes.insert(None, gets);
                }
                if early && outcome == Outcome::Upheld {
                    changes.insert(Some(payer.merchant), gives);
                    *changes.entry(None).or_default() -= gives;
                }
                june.time_passes().await;
                for (party, change) in changes {
                    *nets.entry(party).or_default() += change;
                }
                nets.retain(|_, net| *net != 0);
                assert_eq!(june.moved().await, nets, "{outcome:?} {early} {back}");
                assert_eq!(mall.broken().await, [""; 0]);
                if early {
                    continue;
                }
                mall.decides(5, dispute.id, outcome).await.unwrap();
                let (merchant, amount) = match outcome {
                    Outcome::Upheld => (payer.merchant, gives),
                    Outcome::Rejected => (receiver.merchant, gets),
                };
                let mut given = vec![Adjustment { merchant, amount }];
                given.retain(|one| one.amount > 0);
                assert_eq!(june.adjustments("2026-07").await, given);
                mall.clock.set(at("2026-08-02T00:00:00Z"));
                mall.closed_and_issued("2026-07").await;
                assert_eq!(mall.broken().await, [""; 0]);
            }
        }
    }
}

#[tokio::test]
async fn a_line_that_only_its_taker_bears_moves_nothing() {
    let cost = Cost {
        issuer: 0,
        operator: 0,
        redeemer: 10_000,
    };
    let terms = AgreementTerms {
        cost: Some(cost),
        ..AgreementTerms::default()
    };
    let june = shared_june(terms, false).await;
    for shop in [june.a, june.c] {
        let refused = june.dispute(shop).await;
        assert!(matches!(refused, Err(DisputeError::MovesNothing)));
    }
}
