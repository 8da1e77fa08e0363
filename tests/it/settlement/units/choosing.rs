//! A mall's unit is chosen before its first entry.

use std::{sync::Arc, time::Duration};

use rotunda::{
    authz::action::{ApplyManifest, CloseSettlement},
    db,
    kernel::time::Unit,
    ledger::{self, books::NewLot, transfer::Kind},
    tenancy::{self, TenancyError},
};

use crate::support::settling::{Mall, at, period_of};

const WHEN: &str = "2026-06-10T04:00:00Z";

impl Mall {
    /// The unit of the books and the number by which servers see changes.
    async fn unit(&self) -> (Unit, i64) {
        let mut tx = self.reading().await;
        let revision = tx.revision().await.unwrap();
        (ledger::periods::unit(&mut tx).await.unwrap(), revision)
    }
}

fn fixed(refused: &Result<(), TenancyError>, its: Unit, other: Unit) {
    let Err(TenancyError::PeriodFixed { books, wanted, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((*books, *wanted), (its, other));
}

#[tokio::test]
async fn it_can_be_changed_until_something_is_posted_and_each_change_is_told() {
    let mut mall = Mall::open("2026-06-10T00:00:00Z").await;
    let (first, mut revision) = mall.unit().await;
    assert_eq!(first, Unit::Month);
    for unit in [Unit::Week, Unit::Day, Unit::Month, Unit::Week] {
        mall.settles_by(unit).await.unwrap();
        let (now, told) = mall.unit().await;
        assert_eq!(now, unit);
        assert!(told > revision);
        // The same again is no change.
        mall.settles_by(unit).await.unwrap();
        assert_eq!(mall.unit().await, (unit, told));
        revision = told;
    }
    let [a] = mall.shops(["a"]).await;
    let ada = mall.member("1").await;
    mall.settles_by(Unit::Week).await.unwrap();
    mall.earns(ada, a, 100, WHEN).await;
    let before = (mall.unit().await, mall.rows().await);
    for other in [Unit::Day, Unit::Month] {
        fixed(&mall.settles_by(other).await, Unit::Week, other);
    }
    assert_eq!((mall.unit().await, mall.rows().await), before);
    mall.settles_by(Unit::Week).await.unwrap();
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_cut_off_alone_fixes_it() {
    let mut mall = Mall::open_by(Unit::Day, "2026-06-10T00:00:00Z").await;
    mall.closes("2026-06-01").await;
    fixed(&mall.settles_by(Unit::Month).await, Unit::Day, Unit::Month);
    assert_eq!(
        mall.closes("2026-06-02").await.settlement.period,
        period_of("2026-06-02")
    );
}

/// A till that is about to commit counts: the change waits for it, and is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_till_under_way_keeps_the_unit_that_it_posts_by() {
    let mall = Arc::new(Mall::open("2026-06-10T12:00:00Z").await);
    let [a] = mall.shops(["a"]).await;
    let ada = mall.member("1").await;
    let mut till = mall.tx().await;
    let mut books = mall.books(&mut till, ada, &[], WHEN).await;

    let change = tokio::spawn({
        let mall = Arc::clone(&mall);
        async move { changed(&mall, Unit::Week).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!change.is_finished(), "it did not wait for the till");
    let event = Mall::event(&till, Kind::Purchase, ada, a, WHEN);
    let new = NewLot {
        points: 100,
        rate: mall.terms.rate,
        expires_at: None,
        only_at: None,
    };
    books.issue(&event, new).unwrap();
    books.post(&mut till).await.unwrap();
    till.commit().await.unwrap();
    fixed(&change.await.unwrap(), Unit::Month, Unit::Week);
    assert_eq!(mall.figures("2026-06").await["a"].issued, 100);
}

/// A till that comes while the unit is being changed waits for it, and posts by the new one, whatever
/// it remembers.
#[tokio::test(flavor = "multi_thread")]
async fn a_till_that_waits_for_the_change_posts_by_the_new_unit() {
    let mall = Arc::new(Mall::open("2026-06-10T12:00:00Z").await);
    let [a] = mall.shops(["a"]).await;
    let ada = mall.member("1").await;
    let grant = mall.grant::<ApplyManifest>();
    let mut change = mall.db.write(&grant).await.unwrap();
    let slug = &mall.tenant.slug;
    // Its transaction is open before the change is made.
    let till = mall.tx().await;
    tenancy::settle_by(&mut change, &grant, slug, Unit::Week)
        .await
        .unwrap();
    let sale = tokio::spawn({
        let mall = Arc::clone(&mall);
        async move {
            let mut till = till;
            let mut books = mall.books(&mut till, ada, &[], WHEN).await;
            let event = Mall::event(&till, Kind::Purchase, ada, a, WHEN);
            let new = NewLot {
                points: 100,
                rate: mall.terms.rate,
                expires_at: None,
                only_at: None,
            };
            books.issue(&event, new).unwrap();
            assert_eq!(books.transfers()[0].posted_in, period_of("2026-W24"));
            books.post(&mut till).await.unwrap();
            till.commit().await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sale.is_finished(), "the till did not wait for the change");
    change.commit().await.unwrap();
    sale.await.unwrap();
    assert_eq!(mall.figures("2026-W24").await["a"].issued, 100);
    // Its books hold no purchase that goes with it; the periods are what they should be.
    assert_eq!(mall.broken().await, ["entry-known"]);
}

/// Whoever asked for the unit before it was changed cuts nothing off by the old one.
#[tokio::test]
async fn a_cut_off_by_a_unit_that_was_changed_meanwhile_is_none() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.settles_by(Unit::Week).await.unwrap();
    let grant = mall.grant::<CloseSettlement>();
    let mut tx = mall.db.write(&grant).await.unwrap();
    let late = ledger::cut_off(&mut tx, period_of("2026-06")).await;
    assert!(matches!(late, Err(db::Error::Stale)), "{late:?}");
    let open = ledger::first_open(&mut tx).await.unwrap();
    assert_eq!(open, period_of("0001-W01"));
    drop(tx);
    mall.clock.set(at("2026-07-06T00:00:00Z"));
    assert!(mall.closes("2026-W27").await.fresh);
}

async fn changed(mall: &Mall, unit: Unit) -> Result<(), TenancyError> {
    let grant = mall.grant::<ApplyManifest>();
    let mut tx = mall.db.write(&grant).await.unwrap();
    tenancy::settle_by(&mut tx, &grant, &mall.tenant.slug, unit).await?;
    tx.commit().await.unwrap();
    Ok(())
}
