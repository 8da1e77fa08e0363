//! SET-7: a statement says the same on its page, on paper, in the workbook, in the sheet and in the API,
//! to the unit. Here in months that have a bit of everything; the worked examples ask it of theirs.

use rotunda::{
    kernel::text::Language,
    merchants::agreements::{AgreementTerms, Breakage, Fees, InvoicedBy, Model, Price, Tax},
    settlement::{Course, LineKind, disputes::Outcome},
};

use super::faces::documents_of;
use crate::support::settling::{Mall, at};

#[tokio::test]
async fn set_7_every_face_of_every_statement_says_the_same_to_the_unit() {
    let mut mall = Mall::open("2026-12-02T00:00:00Z").await;
    let [a, b, c, d] = mall.shops(["a", "b", "c", "d"]).await;
    let ada = mall.member("1").await;
    // A crossing, its own points among them.
    mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.earns(ada, b, 401, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    mall.spends(ada, b, 301, "2026-06-04T04:00:00Z").await;
    // With a fee, and what went back.
    mall.earns(ada, d, 12_345_678, "2026-07-01T04:00:00Z").await;
    mall.spends(ada, a, 12_345_677, "2026-07-02T04:00:00Z")
        .await;
    let quiet = "2026-08";
    mall.earns(ada, d, 1, "2026-08-01T04:00:00Z").await;
    for (period, fee) in [("2026-06", 0), ("2026-07", 125), (quiet, 50)] {
        mall.terms.fee_basis_points = fee;
        mall.closes(period).await;
    }
    let seen = mall.every_face_agrees().await;
    assert!(seen >= 3 * (3 + 2 + 1), "{seen}");
}

/// A mall in which one merchant pays into a pool, one is taxed and charged fees of its own, and one
/// line of June is decided when June is paid: July has all of it, and what June left.
#[tokio::test]
async fn set_7_with_a_pool_tax_fees_what_lapsed_and_what_an_earlier_month_left() {
    let mut mall = Mall::open("2026-05-20T00:00:00Z").await;
    mall.terms.course = Course::default();
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let pooled = AgreementTerms {
        model: Model::Pool,
        issue_price: Some(Price {
            points: 1000,
            worth: 1200,
        }),
        breakage: Some(Breakage {
            operator: 4_000,
            issuer: 3_000,
            fund: 3_000,
        }),
        ..AgreementTerms::default()
    };
    let taxed = AgreementTerms {
        tax: Some(Tax {
            basis_points: 600,
            invoiced_by: InvoicedBy::Merchant,
        }),
        fees: Fees {
            basis_points: Some(213),
            fixed: Some(9_99),
            ..Fees::default()
        },
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", pooled).await;
    mall.agrees(c, "2026-06", taxed).await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let ada = mall.member("1").await;
    mall.earns(ada, b, 12_000, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 11_300, "2026-06-02T04:00:00Z").await;
    let line = mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    let june = mall.closed_and_issued("2026-06").await.id;
    let own = mall.statement_of(june, b).await;
    let dispute = mall.objects(b, own, line.journal, 0).await.unwrap();
    mall.clock.set(at("2026-07-07T16:00:00Z"));
    assert_eq!(mall.confirms_what_is_due().await, 1);
    mall.decides(5, dispute.id, Outcome::Upheld).await.unwrap();

    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let soon = Some("2026-07-20T16:00:00Z");
    mall.earns_until(ada, a, 1_000, "2026-07-08T04:00:00Z", soon)
        .await;
    mall.earns(ada, b, 777, "2026-07-09T04:00:00Z").await;
    mall.spends(ada, c, 701, "2026-07-10T04:00:00Z").await;
    mall.lapses(ada, "2026-07-21T00:00:00Z").await;
    let july = mall.closed_and_issued("2026-07").await.id;
    mall.every_face_agrees().await;
    let mut kinds = Vec::new();
    for month in [june, july] {
        for (statement, document) in documents_of(&mall, month, Language::En).await {
            kinds.extend(document.lines.iter().map(|line| line.kind));
            let position = statement.position;
            if statement.code.as_str() == "c" {
                assert!(
                    position.tax_received > 0 && position.fee > 9_99,
                    "{position:?}"
                );
            }
        }
    }
    for kind in [
        LineKind::Funded,
        LineKind::Breakage,
        LineKind::Fee,
        LineKind::FixedFee,
        LineKind::Adjustment,
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}
