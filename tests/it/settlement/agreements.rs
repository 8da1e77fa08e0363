//! What merchants agree on: the worked examples of settlement.md that need it, to the fen, and what
//! an agreement never does.

use std::collections::BTreeMap;

use rotunda::{
    authz::action::{AcceptAgreement, ProposeAgreement, ReadSettlements, ReadStatements},
    kernel::{
        ids::{LotId, MerchantId},
        money::Rate,
        page::Slice,
    },
    merchants::agreements::{
        self, Agreement, AgreementError, AgreementTerms, Breakage, Cost, FeeRule, Fees, InvoicedBy,
        Model, Price, Proposal, Standing, Tax,
    },
    reports::sources::{Origin, origins},
    settlement::{self, Course, LineKind},
};

use super::closing::again;
use crate::support::settling::{Mall, Shop, at};

fn nets<const N: usize>(nets: [(&str, i64); N]) -> BTreeMap<String, i64> {
    nets.map(|(code, net)| (code.to_owned(), net)).into()
}

impl Mall {
    async fn proposes(
        &self,
        shop: Shop,
        from: &str,
        terms: AgreementTerms,
    ) -> Result<Agreement, AgreementError> {
        let grant = self.grant_of::<ProposeAgreement>("operator.finance", None);
        let mut tx = self.db.write(&grant).await.unwrap();
        let new = Proposal {
            merchant: shop.merchant,
            from: from.parse().unwrap(),
            terms,
            document_digest: None,
        };
        let made = agreements::propose(&mut tx, &grant, new, self.tenant.zone).await?;
        tx.commit().await.unwrap();
        Ok(made)
    }

    async fn accepts(
        &self,
        who: MerchantId,
        agreement: &Agreement,
        digest: &str,
    ) -> Result<Agreement, AgreementError> {
        let grant = self.grant_of::<AcceptAgreement>("merchant.owner", Some(who));
        let mut tx = self.db.write(&grant).await.unwrap();
        let done = agreements::accept(&mut tx, &grant, agreement.id, digest).await?;
        tx.commit().await.unwrap();
        Ok(done)
    }

    /// Both agree in the month before.
    pub async fn agrees(&self, shop: Shop, from: &str, terms: AgreementTerms) {
        let made = self.proposes(shop, from, terms).await.unwrap();
        self.accepts(shop.merchant, &made, &made.digest)
            .await
            .unwrap();
    }

    /// A mall in May, to agree on June.
    async fn in_may() -> Self {
        Self::open("2026-05-20T00:00:00Z").await
    }

    fn july(&self) {
        self.clock.set(at("2026-07-02T00:00:00Z"));
    }
}

/// 1.2 fen a point when it is given; what lapses goes to whom it is said.
fn pool(operator: i64, issuer: i64, fund: i64) -> AgreementTerms {
    AgreementTerms {
        model: Model::Pool,
        issue_price: Some(Price {
            points: 1000,
            worth: 1200,
        }),
        breakage: Some(Breakage {
            operator,
            issuer,
            fund,
        }),
        ..AgreementTerms::default()
    }
}

#[tokio::test]
async fn example_b_the_pool_is_paid_at_issue_and_pays_at_redemption() {
    for (shares, lapsed) in [
        ((10_000, 0, 0), [0, 300, 0]),
        ((0, 10_000, 0), [300, 0, 0]),
        ((0, 0, 10_000), [0, 0, 300]),
        ((5000, 0, 5000), [0, 150, 150]),
    ] {
        let mall = Mall::in_may().await;
        let [a, b, c] = mall.shops(["a", "b", "c"]).await;
        for shop in [a, b] {
            let (operator, issuer, fund) = shares;
            mall.agrees(shop, "2026-06", pool(operator, issuer, fund))
                .await;
        }
        mall.july();
        let ada = mall.member("1").await;
        let (soon, later) = (Some("2026-07-01T16:00:00Z"), Some("2026-07-10T00:00:00Z"));
        mall.earns_until(ada, a, 600, "2026-06-01T04:00:00Z", soon)
            .await;
        mall.earns_until(ada, b, 400, "2026-06-02T04:00:00Z", later)
            .await;
        let issued = nets([("a", -720), ("b", -480), ("operator", 1200)]);
        assert_eq!(mall.nets("2026-06").await, issued);
        mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
        // The pool is the operator's to keep: 3.00 of it for the 300 points that are open, 2.00 are
        // the operator's own.
        let june = nets([("a", -720), ("b", -480), ("c", 700), ("operator", 500)]);
        assert_eq!(mall.nets("2026-06").await, june);
        let of = mall
            .preview("2026-06")
            .await
            .calculation
            .operator()
            .unwrap();
        assert_eq!((of[&LineKind::Pool], of[&LineKind::Margin]), (300, 200));
        mall.closes("2026-06").await;

        mall.clock.set(at("2026-08-02T00:00:00Z"));
        mall.lapses(ada, "2026-07-11T00:00:00Z").await;
        let preview = mall.preview("2026-07").await;
        let of = preview.calculation.operator().unwrap();
        let issuer = mall.figures("2026-07").await["b"].breakage;
        let part = |kind| of.get(&kind).copied().unwrap_or(0);
        assert_eq!(part(LineKind::Pool), -300);
        let said = [issuer, part(LineKind::Breakage), part(LineKind::Fund)];
        assert_eq!(said, lapsed);
        mall.closes("2026-07").await;
        assert_eq!(mall.broken().await, [""; 0]);
        mall.every_face_agrees().await;
    }
}

#[tokio::test]
async fn example_c_a_part_is_reimbursed_and_the_most_specific_fee_wins() {
    let mall = Mall::in_may().await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let fees = Fees {
        basis_points: Some(1000),
        by_issuer: vec![FeeRule {
            issuer: b.merchant,
            basis_points: 0,
        }],
        ..Fees::default()
    };
    let terms = AgreementTerms {
        fees,
        ..AgreementTerms::default()
    };
    mall.agrees(c, "2026-06", terms).await;
    mall.july();
    let (ada, bob) = (mall.member("1").await, mall.member("2").await);
    mall.earns(ada, a, 2000, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 2000, "2026-06-03T04:00:00Z").await;
    let june = nets([("a", -2000), ("c", 1800), ("operator", 200)]);
    assert_eq!(mall.nets("2026-06").await, june);
    mall.earns(bob, b, 500, "2026-06-01T04:00:00Z").await;
    mall.spends(bob, c, 500, "2026-06-03T04:00:00Z").await;
    let june = nets([("a", -2000), ("b", -500), ("c", 2300), ("operator", 200)]);
    assert_eq!(mall.nets("2026-06").await, june);
    mall.closes("2026-06").await;
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_d_a_point_settles_at_what_was_agreed_on_and_a_coupon_when_it_is_used() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    // 200 points take 20.00 off: 10 fen a point.
    mall.terms.rate = Rate::new(10, 1).unwrap();
    let end = Some("2027-01-01T00:00:00Z");
    mall.earns_until(ada, a, 120, "2026-06-01T04:00:00Z", end)
        .await;
    mall.earns(ada, b, 80, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, c, 200, "2026-06-03T04:00:00Z").await;
    let june = nets([("a", -1200), ("b", -800), ("c", 2000), ("operator", 0)]);
    assert_eq!(mall.nets("2026-06").await, june);
    mall.closes("2026-06").await;

    // A coupon of 100 points is held from its exchange on, and settles when it is used.
    mall.clock.set(at("2026-09-02T00:00:00Z"));
    mall.terms.rate = Rate::new(1, 1).unwrap();
    mall.earns(ada, a, 100, "2026-07-01T04:00:00Z").await;
    let coupon = mall.reserves(ada, 100, "2026-07-20T04:00:00Z").await;
    let july = nets([("a", 0), ("operator", 0)]);
    assert_eq!(mall.nets("2026-07").await, july);
    mall.closes("2026-07").await;
    mall.claims(ada, c, coupon, "2026-08-03T04:00:00Z").await;
    let august = nets([("a", -100), ("c", 100), ("operator", 0)]);
    assert_eq!(mall.nets("2026-08").await, august);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_j_tax_is_taken_once_a_statement() {
    let mall = Mall::in_may().await;
    let [a, c, d] = mall.shops(["a", "c", "d"]).await;
    let taxed = AgreementTerms {
        tax: Some(Tax {
            basis_points: 600,
            invoiced_by: InvoicedBy::Merchant,
        }),
        fees: Fees {
            basis_points: Some(200),
            ..Fees::default()
        },
        ..AgreementTerms::default()
    };
    mall.agrees(c, "2026-06", taxed.clone()).await;
    mall.agrees(d, "2026-06", taxed).await;
    mall.july();
    let ada = mall.member("1").await;
    mall.earns(ada, a, 721, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    for hour in ["05", "06", "07"] {
        mall.spends(ada, d, 7, &format!("2026-06-03T{hour}:00:00Z"))
            .await;
    }
    let figures = mall.figures("2026-06").await;
    let c = figures["c"];
    assert_eq!(
        (c.receives, c.tax_received, c.fee, c.tax_fee),
        (700, 40, 14, 1)
    );
    // 0.00 on each line of 0.07, and 0.01 on the three.
    assert_eq!((figures["d"].receives, figures["d"].tax_received), (21, 1));
    mall.closes("2026-06").await;
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_k_points_keep_who_bears_their_cost_when_the_terms_change() {
    let mall = Mall::in_may().await;
    let [a, c] = mall.shops(["a", "c"]).await;
    let half = AgreementTerms {
        cost: Some(Cost {
            issuer: 5000,
            operator: 5000,
            redeemer: 0,
        }),
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", half).await;
    mall.july();
    let ada = mall.member("1").await;
    mall.earns(ada, a, 100, "2026-05-10T04:00:00Z").await;
    mall.earns(ada, a, 100, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 200, "2026-06-03T04:00:00Z").await;
    let june = nets([("a", -150), ("c", 200), ("operator", -50)]);
    assert_eq!(mall.nets("2026-06").await, june);
    // At home the operator's half moves, and the rest does not.
    mall.earns(ada, a, 100, "2026-06-04T04:00:00Z").await;
    mall.spends(ada, a, 100, "2026-06-05T04:00:00Z").await;
    let at_home = mall.figures("2026-06").await["a"];
    assert_eq!((at_home.own_points, at_home.own_value), (100, 50));
    let june = nets([("a", -100), ("c", 200), ("operator", -100)]);
    assert_eq!(mall.nets("2026-06").await, june);
    mall.closes("2026-06").await;
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn model_m6_three_share_the_cost() {
    let mall = Mall::in_may().await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let shared = AgreementTerms {
        cost: Some(Cost {
            issuer: 8000,
            operator: 1000,
            redeemer: 1000,
        }),
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", shared.clone()).await;
    mall.agrees(b, "2026-06", shared).await;
    mall.july();
    let ada = mall.member("1").await;
    let end = Some("2027-01-01T00:00:00Z");
    mall.earns_until(ada, a, 600, "2026-06-01T04:00:00Z", end)
        .await;
    mall.earns(ada, b, 400, "2026-06-02T04:00:00Z").await;
    let spent = mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    let june = nets([("a", -480), ("b", -80), ("c", 630), ("operator", -70)]);
    assert_eq!(mall.nets("2026-06").await, june);
    mall.closes("2026-06").await;
    // What comes back in July comes back as it went.
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    mall.gives_back(ada, c, spent, 700, "2026-07-05T04:00:00Z")
        .await;
    let july = nets([("a", 480), ("b", 80), ("c", -630), ("operator", 70)]);
    assert_eq!(mall.nets("2026-07").await, july);
    mall.closes("2026-07").await;
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn in_the_pool_points_that_were_used_and_taken_back_are_paid_back_when_the_debt_is_filled() {
    let mall = Mall::in_may().await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    for shop in [a, b] {
        mall.agrees(shop, "2026-06", pool(10_000, 0, 0)).await;
    }
    mall.july();
    let ada = mall.member("1").await;
    let sale = mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 600, "2026-06-02T04:00:00Z").await;
    mall.refunds(ada, a, sale, 600, "2026-06-03T04:00:00Z")
        .await;
    let owing = nets([("a", -720), ("c", 600), ("operator", 120)]);
    assert_eq!(mall.nets("2026-06").await, owing);
    mall.earns(ada, b, 1000, "2026-06-04T04:00:00Z").await;
    let filled = nets([("a", -120), ("b", -1200), ("c", 600), ("operator", 720)]);
    assert_eq!(mall.nets("2026-06").await, filled);
    // 400 points of b are open.
    let of = mall
        .preview("2026-06")
        .await
        .calculation
        .operator()
        .unwrap();
    assert_eq!(of[&LineKind::Pool], 400);
    mall.closes("2026-06").await;
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_fixed_fee_is_owed_without_any_movement_and_an_issue_fee_by_points() {
    let mall = Mall::in_may().await;
    let [a, b] = mall.shops(["a", "b"]).await;
    let terms = AgreementTerms {
        fees: Fees {
            fixed: Some(10_000),
            issue: Some(Price {
                points: 100,
                worth: 1,
            }),
            ..Fees::default()
        },
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", terms.clone()).await;
    mall.agrees(b, "2026-06", terms).await;
    mall.july();
    let ada = mall.member("1").await;
    mall.earns(ada, a, 250, "2026-06-01T04:00:00Z").await;
    // 2.5 fen go to the even neighbour.
    let june = nets([("a", -10_002), ("b", -10_000), ("operator", 20_002)]);
    assert_eq!(mall.nets("2026-06").await, june);
    mall.closes("2026-06").await;
    assert_eq!(mall.broken().await, [""; 0]);
    let may = nets([("operator", 0)]);
    assert_eq!(mall.nets("2026-05").await, may);
}

#[tokio::test]
async fn a_version_holds_only_if_its_own_merchant_accepted_exactly_it_in_time() {
    let mall = Mall::in_may().await;
    let [a, b] = mall.shops(["a", "b"]).await;
    let plain = AgreementTerms::default();
    for month in ["2026-04", "2026-05"] {
        let early = mall.proposes(a, month, plain.clone()).await;
        assert!(matches!(early, Err(AgreementError::TooEarly(_))), "{month}");
    }
    let wrong = AgreementTerms {
        payment_days: Some(-1),
        ..plain.clone()
    };
    let refused = mall.proposes(a, "2026-06", wrong).await;
    assert!(matches!(refused, Err(AgreementError::Terms(_))));
    let first = mall
        .proposes(a, "2026-06", pool(10_000, 0, 0))
        .await
        .unwrap();
    let second = mall.proposes(a, "2026-06", plain.clone()).await.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    assert_ne!(first.digest, second.digest);
    assert_eq!(
        first.standing(at("2026-05-20T00:00:00Z")),
        Standing::Proposed
    );
    let others = mall.accepts(b.merchant, &first, &first.digest).await;
    assert!(matches!(others, Err(AgreementError::NotFound)));
    let unread = mall.accepts(a.merchant, &first, &second.digest).await;
    assert!(matches!(unread, Err(AgreementError::OtherDigest(1))));
    // The last instant of May in Shanghai, and the first of June.
    mall.clock.set(at("2026-05-31T15:59:59.999999Z"));
    let done = mall
        .accepts(a.merchant, &first, &first.digest)
        .await
        .unwrap();
    assert_eq!(
        done.standing(at("2026-06-01T00:00:00Z")),
        Standing::Accepted
    );
    mall.clock.set(at("2026-05-31T16:00:00Z"));
    let late = mall.accepts(a.merchant, &second, &second.digest).await;
    assert!(matches!(late, Err(AgreementError::Missed(2, _))));
    let again = mall
        .accepts(a.merchant, &first, &first.digest)
        .await
        .unwrap();
    assert_eq!(again, done);
    assert_eq!(
        second.standing(at("2026-06-01T00:00:00Z")),
        Standing::Missed
    );
    mall.july();
    let ada = mall.member("1").await;
    mall.earns(ada, a, 1000, "2026-06-01T04:00:00Z").await;
    assert_eq!(mall.figures("2026-06").await["a"].funded, 1200);
    assert_eq!(mall.broken().await, [""; 0]);
}

/// Months that were closed before agreements were known have no lines, and a seal without them.
#[tokio::test]
async fn a_month_of_the_first_form_keeps_its_seal_and_is_told_what_lapsed() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    let end = Some("2026-06-20T00:00:00Z");
    // Of b nothing but what lapsed is in June: it had no statement then.
    mall.earns_until(ada, b, 50, "2026-05-01T04:00:00Z", end)
        .await;
    mall.earns_until(
        ada,
        a,
        30,
        "2026-06-01T04:00:00Z",
        Some("2026-06-19T00:00:00Z"),
    )
    .await;
    mall.spends(ada, c, 10, "2026-06-02T04:00:00Z").await;
    mall.lapses(ada, "2026-06-21T00:00:00Z").await;
    mall.closes("2026-06").await;
    let backfill = crate::reads::backfill(crate::reads::LISTED, "update statement");
    mall.as_admin(&format!(
        "delete from statement_line;
         delete from statement where (issued, redeemed, pays, receives) = (0, 0, 0, 0);
         update statement set expired = 0;
         update settlement set form = 1, state = 'closed', digest = encode(sha256(convert_to(
             '2026-06,0' || chr(10) || (select string_agg(concat_ws(',', merchant_id, issued,
                 taken_back, redeemed, given_back, own_points, own_value, pays, receives, fee, net)
                 || chr(10), '' order by merchant_id) from statement), 'UTF8')), 'hex');
         {backfill};
         update settlement set state = 'confirmed'"
    ))
    .await;
    assert_eq!(mall.broken().await, [""; 0]);
    assert!(again(&mall, "2026-06").await.unwrap().is_same());
    let mut admin = mall.admin().await;
    let expired: Vec<(String, i64)> =
        sqlx::query_as("select code, expired from statement order by code")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    assert_eq!(expired, [("a".to_owned(), 20), ("c".to_owned(), 0)]);
    mall.as_admin("update statement set pays = pays + 1, net = net - 1 where code = 'a'")
        .await;
    assert!(mall.broken().await.contains(&"settlement-digest"));
}

/// What each line of a statement says of where its points come from.
async fn origins_of(mall: &Mall, shop: Shop) -> Vec<(String, Option<Origin>)> {
    let grant = mall.grant_of::<ReadStatements>("merchant.finance", Some(shop.merchant));
    let slice = Slice {
        limit: 100,
        after: None,
    };
    let list = mall.grant_of::<ReadSettlements>("operator.finance", None);
    let mut tx = mall.db.read(&list).await.unwrap();
    let settlement = settlement::list(&mut tx, &list, &slice).await.unwrap();
    let id = settlement.items[0].id;
    let own = mall.statement_of(id, shop).await;
    let mut tx = mall.db.read(&grant).await.unwrap();
    let lines = settlement::lines(&mut tx, &grant, own, &slice)
        .await
        .unwrap();
    let lots: Vec<LotId> = lines.items.iter().map(|line| line.lot).collect();
    let origins = origins(&mut tx, &grant, &lots).await.unwrap();
    let lines = lines.items.into_iter();
    let told = lines.map(|line| {
        (
            format!("{} {}", line.earned_at.format("%m-%d"), line.points),
            origins.get(&line.lot).copied(),
        )
    });
    told.collect()
}

#[tokio::test]
async fn each_line_leads_to_the_rules_and_terms_of_its_points() {
    let mut mall = Mall::open("2026-04-20T00:00:00Z").await;
    mall.terms.course = Course::default();
    let [a, b] = mall.shops(["a", "b"]).await;
    let first = mall.proposes(a, "2026-05", AgreementTerms::default()).await;
    let first = first.unwrap();
    mall.accepts(a.merchant, &first, &first.digest)
        .await
        .unwrap();
    let terms = || AgreementTerms {
        payment_days: Some(9),
        ..AgreementTerms::default()
    };
    // One that was never accepted, and one that holds from June on.
    mall.proposes(a, "2026-06", terms()).await.unwrap();
    let second = mall.proposes(a, "2026-06", terms()).await.unwrap();
    mall.accepts(a.merchant, &second, &second.digest)
        .await
        .unwrap();
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let ada = mall.member("1").await;
    for (points, when) in [(10, "04-25"), (20, "05-25"), (30, "06-25")] {
        mall.earns(ada, a, points, &format!("2026-{when}T04:00:00Z"))
            .await;
    }
    mall.earns(ada, b, 5, "2026-06-26T04:00:00Z").await;
    mall.spends(ada, b, 60, "2026-06-27T04:00:00Z").await;
    mall.closed_and_issued("2026-06").await;
    let by = |agreement: Option<&Agreement>| {
        Some(Origin {
            programme: Some(1),
            agreement: agreement.map(|one| (one.id, one.version)),
        })
    };
    let told = [
        ("04-25 10", by(None)),
        ("05-25 20", by(Some(&first))),
        ("06-25 30", by(Some(&second))),
        ("06-26 5", by(None)),
    ];
    let mut found = origins_of(&mall, b).await;
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, told.map(|(line, origin)| (line.to_owned(), origin)));
}
