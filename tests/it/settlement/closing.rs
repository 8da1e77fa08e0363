//! Closing: once, whole, under pressure, and for ever.

use std::sync::Arc;

use rotunda::{
    authz::action::{CloseSettlement, PreviewSettlement, ReadSettlements, ReadStatements},
    kernel::{page::Slice, text::Code},
    ledger::{books::NewLot, transfer::Kind},
    merchants::agreements::{AgreementTerms, Cost},
    settlement::{
        self, SettlementError, State,
        calculation::FORM,
        recalculation::{Recalculation, recalculate_period},
    },
};
use tokio::task::JoinSet;

use crate::support::settling::{Mall, at, period_of};

#[tokio::test(flavor = "multi_thread")]
async fn set_3_of_32_who_close_at_once_one_closes_and_a_close_that_died_is_finished() {
    let mall = Arc::new(Mall::open("2036-01-02T00:00:00Z").await);
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    let grant = mall.grant::<CloseSettlement>();
    let (terms, zone, currency) = (mall.terms, mall.tenant.zone, mall.tenant.currency);
    for round in 0..50 {
        let period = format!("{}-{:02}", 2026 + round / 12, round % 12 + 1);
        mall.earns(ada, a, 100, &format!("{period}-03T04:00:00Z"))
            .await;
        mall.earns(ada, b, 50 + round, &format!("{period}-04T04:00:00Z"))
            .await;
        mall.spends(ada, c, 120, &format!("{period}-05T04:00:00Z"))
            .await;
        let at_first = mall.figures(&period).await;

        // One dies before the cut-off is durable, one after it, one with everything written.
        let mut tx = mall.db.write(&grant).await.unwrap();
        settlement::cut_off(&mut tx, &grant, period_of(&period), &terms, zone)
            .await
            .unwrap();
        drop(tx);
        assert_eq!(mall.preview(&period).await.state, None);
        let mut tx = mall.db.write(&grant).await.unwrap();
        settlement::cut_off(&mut tx, &grant, period_of(&period), &terms, zone)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(mall.preview(&period).await.state, Some(State::CutOff));
        let mut tx = mall.db.write(&grant).await.unwrap();
        settlement::seal(&mut tx, &grant, period_of(&period), zone, currency)
            .await
            .unwrap();
        drop(tx);
        assert_eq!(written(&mall, &period).await, (0, 0, 0));

        let mut closers = JoinSet::new();
        for _ in 0..32 {
            let (mall, period) = (Arc::clone(&mall), period.clone());
            closers.spawn(async move { mall.closes(&period).await });
        }
        let sealed = closers.join_all().await;
        assert_eq!(sealed.iter().filter(|one| one.fresh).count(), 1);
        assert!(
            sealed
                .iter()
                .all(|one| one.settlement == sealed[0].settlement)
        );
        assert_eq!(written(&mall, &period).await, (3, 2, 2), "{period}");
        assert_eq!(mall.figures(&period).await, at_first);
    }
    assert_eq!(mall.broken().await, [""; 0]);
}

/// How many statements, payments and payments in the ledger a month has.
async fn written(mall: &Mall, period: &str) -> (i64, i64, i64) {
    let mut admin = mall.admin().await;
    sqlx::query_as(
        "select (select count(*) from statement join settlement using (settlement_id)
                 where month = $1),
                (select count(*) from payment join settlement using (settlement_id)
                 where month = $1),
                (select count(*) from transfer where lot_id is null and posted_in = $1)",
    )
    .bind(period_of(period).first_day())
    .fetch_one(&mut admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn set_4_a_thousand_late_events_go_to_the_next_month_and_change_no_byte_of_june() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 5000, "2026-06-10T04:00:00Z").await;
    mall.spends(ada, b, 700, "2026-06-11T04:00:00Z").await;
    let closed = mall.closes("2026-06").await;
    let before = bytes(&mall, "2026-06").await;

    mall.clock.set(at("2026-07-03T02:00:00Z"));
    let mut tx = mall.tx().await;
    let mut books = mall.books(&mut tx, ada, &[], "2026-07-03T02:00:00Z").await;
    for number in 0..1000 {
        let when = format!("2026-06-{:02}T{:02}:30:00Z", 12 + number % 18, number % 24);
        if number % 2 == 0 {
            let event = Mall::event(&tx, Kind::Purchase, ada, a, &when);
            let new = NewLot {
                points: 2,
                rate: mall.terms.rate,
                expires_at: None,
                only_at: None,
            };
            books.issue(&event, new).unwrap();
        } else {
            let event = Mall::event(&tx, Kind::Spend, ada, b, &when);
            books.spend(&event, 3).unwrap();
        }
    }
    assert!(books.entries().iter().all(|entry| entry.late));
    books.post(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(bytes(&mall, "2026-06").await, before);
    assert_eq!(mall.closes("2026-06").await.settlement, closed.settlement);
    let july = mall.figures("2026-07").await;
    assert_eq!(
        (july["a"].issued, july["b"].redeemed, july["b"].net),
        (1000, 1500, 1500)
    );
}

/// June calculated anew, as the command and the API do it.
pub(super) async fn again(mall: &Mall, period: &str) -> Result<Recalculation, SettlementError> {
    let grant = mall.grant::<PreviewSettlement>();
    let mut tx = mall.db.read(&grant).await.unwrap();
    recalculate_period(&mut tx, &grant, period_of(period), mall.tenant.zone).await
}

#[tokio::test]
async fn a_closed_month_comes_to_its_bytes_again_and_who_changed_it_is_told() {
    let mall = Mall::open("2026-05-20T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let cost = Cost {
        issuer: 8000,
        operator: 1000,
        redeemer: 1000,
    };
    let shared = AgreementTerms {
        cost: Some(cost),
        ..AgreementTerms::default()
    };
    mall.agrees(a, "2026-06", shared.clone()).await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let ada = mall.member("1").await;
    mall.earns(ada, a, 500, "2026-06-10T04:00:00Z").await;
    mall.spends(ada, b, 333, "2026-06-11T04:00:00Z").await;
    mall.earns_until(
        ada,
        c,
        7,
        "2026-06-12T04:00:00Z",
        Some("2026-06-20T00:00:00Z"),
    )
    .await;
    mall.lapses(ada, "2026-06-21T00:00:00Z").await;
    let open = again(&mall, "2026-06").await.unwrap_err();
    assert!(matches!(open, SettlementError::OutOfTurn(_)), "{open:?}");
    let sealed = mall.closes("2026-06").await.settlement;

    // Three years on: other terms, more events, some of them late.
    let other = AgreementTerms::default();
    mall.agrees(a, "2026-08", other).await;
    mall.earns(ada, a, 900, "2026-06-30T04:00:00Z").await;
    mall.spends(ada, c, 600, "2026-07-01T04:00:00Z").await;
    mall.clock.set(at("2029-07-02T00:00:00Z"));
    let same = again(&mall, "2026-06").await.unwrap();
    assert!(same.is_same(), "{same:?}");
    assert_eq!(
        (Some(same.recalculated), same.settlement),
        (sealed.digest.clone(), sealed.id)
    );

    let damages: [(&str, &str, &[&str]); 4] = [
        (
            "update statement set pays = pays + 1, net = net - 1 where code = 'a'",
            "update statement set pays = pays - 1, net = net + 1 where code = 'a'",
            &["a"],
        ),
        (
            "update settlement set digest = 'x' || substr(digest, 2)",
            "update settlement set digest = '{}' || substr(digest, 2)",
            &[],
        ),
        (
            "update transfer set value = value + 10 where value = 333",
            "update transfer set value = value - 10 where value = 343",
            &["a", "b"],
        ),
        (
            "update statement set merchant_id = gen_random_uuid(), code = 'z' where code = 'c'",
            "",
            &["c", "z"],
        ),
    ];
    let first = sealed.digest.as_ref().unwrap().chars().next().unwrap();
    for (damage, repair, differing) in damages {
        mall.as_admin(damage).await;
        let found = again(&mall, "2026-06").await.unwrap();
        assert!(!found.is_same(), "{damage}");
        let told: Vec<&str> = found.differing.iter().map(Code::as_str).collect();
        assert_eq!(told, differing, "{damage}");
        mall.as_admin(&repair.replace("{}", &first.to_string()))
            .await;
    }
}

/// A month's figures as the ledger says now and as they were written, byte for byte.
async fn bytes(mall: &Mall, period: &str) -> (String, Vec<String>) {
    let preview = mall.preview(period).await;
    let fresh = preview
        .calculation
        .canonical(period_of(period), preview.fee_basis_points, FORM);
    let mut admin = mall.admin().await;
    let written = sqlx::query_scalar(
        "select concat_ws(',', settlement, statement)
         from settlement join statement using (settlement_id)
         where month = $1
         order by merchant_id",
    )
    .bind(period_of(period).first_day())
    .fetch_all(&mut admin)
    .await
    .unwrap();
    (fresh, written)
}

#[tokio::test]
async fn set_6_a_month_begins_and_ends_with_the_malls_own_midnight() {
    let mall = Mall::open("2026-06-30T15:59:59.999999Z").await;
    let [a, b] = mall.shops(["a", "b"]).await;
    let ada = mall.member("1").await;
    for (when, points) in [
        ("2026-05-31T15:59:59.999999Z", 1),
        ("2026-05-31T16:00:00Z", 10),
        ("2026-06-30T15:59:59.999999Z", 100),
        ("2026-06-30T16:00:00Z", 1000),
    ] {
        mall.earns(ada, a, points, when).await;
    }
    for (period, points) in [("2026-05", 1), ("2026-06", 110), ("2026-07", 1000)] {
        assert_eq!(mall.figures(period).await["a"].issued, points, "{period}");
    }
    assert_eq!(mall.figures("2026-06").await.get("b"), None);
    mall.spends(ada, b, 1, "2026-06-30T16:00:00Z").await;
    assert_eq!(mall.figures("2026-06").await.get("b"), None);

    let grant = mall.grant::<CloseSettlement>();
    let mut tx = mall.db.write(&grant).await.unwrap();
    let (terms, zone) = (mall.terms, mall.tenant.zone);
    let refused = settlement::cut_off(&mut tx, &grant, period_of("2026-06"), &terms, zone).await;
    let Err(SettlementError::PeriodNotOver { ends_at, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(ends_at, at("2026-06-30T16:00:00Z"));
    drop(tx);
    mall.clock.set(ends_at);
    assert!(mall.closes("2026-06").await.fresh);
}

#[tokio::test]
async fn a_month_without_movement_closes_empty_and_the_fee_of_the_cut_off_stays() {
    let mut mall = Mall::open("2026-09-02T00:00:00Z").await;
    let empty = mall.closes("2026-05").await.settlement;
    assert_eq!(empty.state, State::Closed);
    assert_eq!(written(&mall, "2026-05").await, (0, 0, 0));

    let [a, c] = mall.shops(["a", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 1000, "2026-06-10T04:00:00Z").await;
    mall.spends(ada, c, 1000, "2026-06-11T04:00:00Z").await;
    mall.terms.fee_basis_points = 200;
    mall.closes("2026-06").await;
    mall.terms.fee_basis_points = 900;
    assert_eq!(mall.nets("2026-06").await["operator"], 20);
    let listed = {
        let grant = mall.grant_of::<ReadSettlements>("operator.auditor", None);
        let mut tx = mall.db.read(&grant).await.unwrap();
        let slice = Slice {
            limit: 1,
            after: None,
        };
        let first = settlement::list(&mut tx, &grant, &slice).await.unwrap();
        let slice = Slice {
            limit: 1,
            after: first.next.clone(),
        };
        let second = settlement::list(&mut tx, &grant, &slice).await.unwrap();
        assert_eq!(second.next, None);
        [first.items[0].period, second.items[0].period]
    };
    assert_eq!(listed, [period_of("2026-06"), period_of("2026-05")]);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn every_figure_of_a_statement_is_the_sum_of_its_lines() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, c] = mall.shops(["a", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.earns(ada, c, 300, "2026-06-01T05:00:00Z").await;
    let spent = mall.spends(ada, c, 500, "2026-06-03T04:00:00Z").await;
    mall.gives_back(ada, c, spent, 100, "2026-06-04T04:00:00Z")
        .await;
    let closed = mall.closes("2026-06").await.settlement;

    let grant = mall.grant_of::<ReadStatements>("merchant.finance", Some(c.merchant));
    let mut tx = mall.db.read(&grant).await.unwrap();
    let all = Slice {
        limit: 100,
        after: None,
    };
    let page = settlement::statements(&mut tx, &grant, closed.id, &all)
        .await
        .unwrap();
    let [own] = page.items.as_slice() else {
        panic!("{page:?}");
    };
    let mut lines = Vec::new();
    let mut slice = Slice {
        limit: 2,
        after: None,
    };
    loop {
        let page = settlement::lines(&mut tx, &grant, own.id, &slice)
            .await
            .unwrap();
        lines.extend(page.items);
        slice.after = page.next;
        if slice.after.is_none() {
            break;
        }
    }
    let sum = |reason: &str| -> i64 {
        let of = lines
            .iter()
            .filter(|line| line.by == c.merchant && line.reason == reason);
        of.map(|line| line.points).sum()
    };
    assert_eq!(own.code.as_str(), "c");
    assert_eq!(sum("purchase"), own.position.issued);
    assert_eq!(sum("spend"), own.position.redeemed);
    assert_eq!(sum("spend-return"), own.position.given_back);
    assert_eq!((own.position.receives, own.position.net), (400, 400));
    let ids: Vec<_> = lines.iter().map(|line| line.source).collect();
    let sources = rotunda::reports::sources::sources(&mut tx, &grant, &ids)
        .await
        .unwrap();
    assert!(sources.contains_key(&spent.spend));
}
