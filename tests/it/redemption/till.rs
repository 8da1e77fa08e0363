//! Points at the till, and back when the receipt is refunded.

use rotunda::{
    authz::{
        action::{RefundPurchase, SpendPoints},
        actor::{Actor, Reach},
    },
    kernel::{
        ids::{MemberId, MerchantId},
        time::Instant,
    },
    ledger::books::Wanted as BooksWanted,
    redemption::{
        self, Limits, Receipt, Return, Returns, SpendError, SpendItem, SpendQuestion,
        Wanted::{Exactly, UpTo},
    },
};

use super::bazaar::{Bazaar, together};
use crate::support::instant;

#[tokio::test]
async fn twenty_parallel_spends_of_a_hundred_points_are_one() {
    let mall = Bazaar::open().await;
    let ada = mall.member(100).await;
    let items: Vec<[SpendItem; 1]> = (0..20)
        .map(|place| [mall.item(mall.cake.store, &format!("R-{place}"), ada, Exactly(100))])
        .collect();
    let answers: Vec<_> = together(items.iter().map(|item| mall.spend(item)))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        let missing = SpendError::NotEnoughPoints {
            available: 0,
            wanted: 100,
        };
        assert_eq!(refused.to_string(), missing.to_string());
    }
    assert_eq!(
        (mall.balance(ada).await, mall.mall.count("spend").await),
        (0, 1)
    );
    mall.assert_books().await;
}

#[tokio::test]
async fn a_receipt_is_spent_once_for_ever_and_the_same_again_is_the_same_answer() {
    let mall = Bazaar::open().await;
    let ada = mall.member(1_000).await;
    let item = mall.item(mall.cake.store, "R-1", ada, Exactly(300));
    let first = mall
        .spend(std::slice::from_ref(&item))
        .await
        .remove(0)
        .unwrap();
    assert_eq!((first.points, first.pays, first.to_pay), (300, 300, 9_700));
    assert_eq!((first.balance, first.replayed), (700, false));

    // A year later, from another moment, even where the store takes no points any more.
    mall.suspend(mall.cake.store).await;
    mall.at("2027-03-02T04:00:00Z");
    let later = SpendItem {
        occurred_at: mall.now(),
        ..item.clone()
    };
    let again = mall.spend(&[later]).await.remove(0).unwrap();
    assert!(again.replayed);
    assert_eq!((again.spend, again.points), (first.spend, first.points));
    assert_eq!(again.occurred_at, first.occurred_at);

    let other_points = SpendItem {
        points: Exactly(301),
        ..item.clone()
    };
    let other_total = SpendItem {
        total: 9_999,
        ..item.clone()
    };
    let other_member = SpendItem {
        member: mall.member(1_000).await,
        ..item
    };
    let changed = [other_points, other_total, other_member];
    for answer in mall.spend(&changed).await {
        let conflict = answer.unwrap_err();
        assert!(
            matches!(conflict, SpendError::AlreadySpent { spend } if Some(spend) == first.spend)
        );
    }
    assert_eq!(
        (mall.balance(ada).await, mall.mall.count("spend").await),
        (700, 1)
    );
}

#[tokio::test]
async fn one_receipt_sent_sixteen_times_at_once_is_one_spend_and_one_answer() {
    let mall = Bazaar::open().await;
    let ada = mall.member(100).await;
    let item = [mall.item(mall.cake.store, "R-1", ada, Exactly(100))];
    let answers = together((0..16).map(|_| mall.spend(&item))).await;
    let receipts: Vec<_> = answers
        .iter()
        .flatten()
        .map(|answer| answer.as_ref().unwrap())
        .collect();
    assert!(receipts.iter().all(|one| one.spend == receipts[0].spend));
    assert_eq!(receipts.iter().filter(|one| one.replayed).count(), 15);
    assert_eq!(
        (mall.balance(ada).await, mall.mall.count("spend").await),
        (0, 1)
    );
}

#[tokio::test]
async fn one_receipt_twice_in_a_slice_is_one_spend() {
    let mall = Bazaar::open().await;
    let ada = mall.member(1_000).await;
    let item = mall.item(mall.cake.store, "R-1", ada, Exactly(300));
    let other = SpendItem {
        points: Exactly(200),
        ..item.clone()
    };
    let answers = mall.spend(&[item.clone(), item, other]).await;
    let [Ok(first), Ok(second), Err(SpendError::AlreadySpent { .. })] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.spend, second.spend);
    assert_eq!(mall.balance(ada).await, 700);
}

#[tokio::test]
async fn a_receipt_that_two_members_claim_at_once_is_one_members() {
    let mall = Bazaar::open().await;
    let people = mall.members(8, 500).await;
    let items: Vec<[SpendItem; 1]> = people
        .iter()
        .map(|member| [mall.item(mall.cake.store, "R-1", *member, Exactly(500))])
        .collect();
    let answers = together(items.iter().map(|item| mall.spend(item))).await;
    let paid = answers.iter().flatten().filter(|answer| answer.is_ok());
    assert_eq!(paid.count(), 1);
    let conflicts = answers
        .iter()
        .flatten()
        .filter(|answer| matches!(answer, Err(SpendError::AlreadySpent { .. })));
    assert_eq!(conflicts.count(), 7);
    assert_eq!(mall.mall.count("journal where kind = 'spend'").await, 1);
    mall.assert_books().await;
}

#[tokio::test]
async fn slices_that_meet_in_opposite_order_all_come_through() {
    let mall = Bazaar::open().await;
    let people = mall.members(6, 100_000).await;
    let slice = |turn: usize| -> Vec<SpendItem> {
        let mut items: Vec<SpendItem> = people
            .iter()
            .enumerate()
            .map(|(place, member)| {
                let receipt = format!("R-{}-{place}", turn / 2);
                mall.item(mall.cake.store, &receipt, *member, Exactly(10))
            })
            .collect();
        if turn % 2 == 1 {
            items.reverse();
        }
        items
    };
    let slices: Vec<Vec<SpendItem>> = (0..20).map(slice).collect();
    let answers = together(slices.iter().map(|items| mall.spend(items))).await;
    let replayed = answers
        .iter()
        .flatten()
        .filter(|answer| answer.as_ref().unwrap().replayed);
    assert_eq!(replayed.count(), 60);
    for member in people {
        assert_eq!(mall.balance(member).await, 99_900);
    }
    mall.assert_books().await;
}

#[tokio::test]
async fn one_refusal_in_a_slice_touches_no_other() {
    let mall = Bazaar::open().await;
    let (ada, ben) = (mall.member(1_000).await, mall.member(50).await);
    let cake = mall.cake.store;
    let stranger = MemberId::from_uuid(mall.tea.store.uuid());
    let item = |receipt: &str, member, points| mall.item(cake, receipt, member, points);
    let items = [
        item("R-1", ada, Exactly(100)),
        item("R-2", ben, Exactly(100)),
        item("R-3", stranger, Exactly(100)),
        item("R-4", ada, Exactly(900)),
        item("R-5", ada, Exactly(1)),
        item("R-6", ben, UpTo(100)),
        item("R-7", ben, UpTo(100)),
    ];
    let answers = mall.spend(&items).await;
    let [
        Ok(first),
        Err(SpendError::NotEnoughPoints {
            available: 50,
            wanted: 100,
        }),
        Err(SpendError::UnknownMember),
        Ok(second),
        Err(SpendError::NotEnoughPoints { available: 0, .. }),
        Ok(part),
        Ok(nothing),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    assert_eq!((first.balance, second.balance), (900, 0));
    assert_eq!((part.points, nothing.points, nothing.spend), (50, 0, None));
    assert_eq!(mall.mall.count("spend").await, 3);
    mall.assert_books().await;
}

#[tokio::test]
async fn a_till_spends_only_where_points_are_taken_and_its_right_reaches() {
    let mall = Bazaar::open().await;
    let ada = mall.member(1_000).await;
    let item = |store| mall.item(store, "R-1", ada, Exactly(100));
    let nowhere = rotunda::kernel::ids::StoreId::from_uuid(ada.uuid());
    let late = SpendItem {
        occurred_at: instant("2026-03-02T04:05:01Z"),
        ..item(mall.cake.store)
    };
    let as_merchant = |merchant: MerchantId| SpendItem {
        grant: mall
            .mall
            .grant::<SpendPoints>("merchant.cashier", Reach::Merchant(merchant)),
        ..item(mall.cake.store)
    };
    let foreign = as_merchant(mall.tea.merchant);
    let refused = mall
        .spend(&[item(mall.toys.store), item(nowhere), foreign, late])
        .await;
    let [
        Err(SpendError::StoreTakesNoPoints),
        Err(unknown @ SpendError::UnknownStore),
        Err(foreign @ SpendError::UnknownStore),
        Err(SpendError::InTheFuture),
    ] = refused.as_slice()
    else {
        panic!("{refused:?}");
    };
    assert_eq!(unknown.to_string(), foreign.to_string());
    mall.suspend(mall.tea.store).await;
    let suspended = mall.spend(&[item(mall.tea.store)]).await.remove(0);
    assert!(matches!(suspended, Err(SpendError::Suspended)));
    let own = mall
        .spend(&[as_merchant(mall.cake.merchant)])
        .await
        .remove(0);
    assert_eq!(own.unwrap().points, 100);
}

#[tokio::test]
async fn the_limits_of_a_total_hold_unless_they_are_waived() {
    let mall = Bazaar::open().await;
    let ada = mall.member(9_000).await;
    let item = |receipt: &str, points| mall.item(mall.cake.store, receipt, ada, points);
    let waived = SpendItem {
        total: 0,
        limits: Limits::Waived,
        ..item("R-4", UpTo(75))
    };
    let answers = mall
        .spend(&[
            item("R-1", Exactly(5_001)),
            item("R-2", Exactly(0)),
            item("R-3", UpTo(8_000)),
            waived.clone(),
            SpendItem {
                receipt_number: "R-5".parse().unwrap(),
                points: UpTo(100_000),
                ..waived
            },
        ])
        .await;
    let [
        Err(SpendError::OverTheLimit { most: 5_000 }),
        Err(SpendError::TooFewPoints { least: 1 }),
        Ok(half),
        Ok(import),
        Ok(rest),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    assert_eq!((half.points, half.to_pay), (5_000, 5_000));
    assert_eq!((import.points, import.pays, import.to_pay), (75, 75, 0));
    assert_eq!((rest.points, rest.balance), (3_925, 0));
}

#[tokio::test]
async fn a_preview_takes_nothing_and_what_it_says_can_be_spent() {
    let mall = Bazaar::open().await;
    let ada = mall.member(3_000).await;
    let item = mall.item(mall.cake.store, "R-1", ada, Exactly(3_000));
    let question = |store, member| SpendQuestion {
        store,
        member,
        total: 10_000,
        points: None,
        form: None,
    };
    let mut tx = mall.mall.app.db.read(&item.grant).await.unwrap();
    let mut ask = async |store, member| {
        let question = question(store, member);
        redemption::preview(&mut tx, &item.grant, &mall.setting, &question).await
    };
    let quote = ask(mall.cake.store, ada).await.unwrap();
    assert_eq!(
        (quote.points, quote.pays, quote.to_pay),
        (3_000, 3_000, 7_000)
    );
    let stranger = MemberId::from_uuid(mall.cake.store.uuid());
    let unknown = ask(mall.cake.store, stranger).await;
    assert!(matches!(unknown, Err(SpendError::UnknownMember)));
    let earns_only = ask(mall.toys.store, ada).await;
    assert!(matches!(earns_only, Err(SpendError::StoreTakesNoPoints)));
    assert_eq!(mall.balance(ada).await, 3_000);
    let receipt = mall
        .spend(std::slice::from_ref(&item))
        .await
        .remove(0)
        .unwrap();
    assert_eq!(receipt.pays, quote.pays);
}

#[tokio::test]
async fn what_lapsed_cannot_be_spent_though_no_sweep_came_by() {
    let mall = Bazaar::open().await;
    let ada = mall.members(1, 0).await[0];
    let end = instant("2026-03-31T16:00:00Z");
    mall.issue(&[ada], 100, Some(end)).await;
    mall.issue(&[ada], 40, None).await;
    mall.at("2026-03-31T16:00:00Z");
    let item = mall.item(mall.cake.store, "R-1", ada, Exactly(41));
    let refused = mall.spend(&[item]).await.remove(0);
    assert!(matches!(
        refused,
        Err(SpendError::NotEnoughPoints { available: 40, .. })
    ));
    let item = mall.item(mall.cake.store, "R-2", ada, Exactly(40));
    assert_eq!(mall.spend(&[item]).await.remove(0).unwrap().balance, 0);
    mall.assert_books().await;
}

/// Gives these points back in one transaction; what came back each time.
async fn give_back(mall: &Bazaar, receipt: &Receipt, wanted: &[i64], grace: Instant) -> Vec<i64> {
    let grant = mall
        .mall
        .grant::<RefundPurchase>("machine.erp", Reach::Mall);
    let mut tx = mall.mall.app.db.write(&grant).await.unwrap();
    let receipts = std::slice::from_ref(receipt);
    let paid = redemption::paid_by_points(&mut tx, receipts).await.unwrap()[receipt];
    let lots = redemption::lots_to_give_back(&mut tx, &[paid])
        .await
        .unwrap();
    let opened = BooksWanted {
        members: vec![paid.member],
        lots,
        due_by: tx.now(),
        ..BooksWanted::default()
    };
    let zone = mall.setting.zone;
    let mut books = rotunda::ledger::open_books(&mut tx, zone, &opened)
        .await
        .unwrap();
    let mut returns = Returns::load(&mut tx, &[paid.spend]).await.unwrap();
    let mut given = Vec::new();
    for points in wanted {
        let wanted = Return {
            actor: Actor::System,
            spend: paid.spend,
            points: *points,
            source: tx.new_id::<()>().uuid(),
            occurred_at: tx.now(),
            grace,
        };
        given.push(returns.give_back(&mut books, &wanted).unwrap().points);
    }
    returns.write(&mut tx).await.unwrap();
    books.post(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    given
}

#[tokio::test]
async fn a_refund_gives_points_back_from_the_last_used_to_the_first_and_never_more() {
    let mall = Bazaar::open().await;
    let ada = mall.members(1, 0).await[0];
    let (soon, later) = (
        instant("2026-04-30T16:00:00Z"),
        instant("2026-05-31T16:00:00Z"),
    );
    let grace = instant("2026-06-30T16:00:00Z");
    mall.issue(&[ada], 100, Some(soon)).await;
    mall.issue(&[ada], 100, Some(later)).await;
    let item = mall.item(mall.cake.store, "R-1", ada, Exactly(150));
    mall.spend(std::slice::from_ref(&item))
        .await
        .remove(0)
        .unwrap();
    let receipt = (item.store, item.receipt_number.clone());
    let lots = async || -> Vec<(i64, Option<Instant>)> {
        let lots = mall.wallet(ada).await.lots;
        lots.iter()
            .map(|lot| (lot.remaining, lot.expires_at))
            .collect()
    };
    assert_eq!(lots().await, [(50, Some(later))]);

    // 50 back into the later lot, 10 and then 5 into the sooner one, in one transaction.
    assert_eq!(give_back(&mall, &receipt, &[60, 5], grace).await, [60, 5]);
    assert_eq!(lots().await, [(15, Some(soon)), (100, Some(later))]);

    // The sooner lot has lapsed meanwhile, with 15 in it that no sweep took yet: those are gone,
    // and what comes back lives on until the grace ends.
    mall.at("2026-05-02T04:00:00Z");
    assert_eq!(
        give_back(&mall, &receipt, &[1_000, 1], grace).await,
        [85, 0]
    );
    assert_eq!(lots().await, [(100, Some(later)), (85, Some(grace))]);
    let grant = mall.mall.vendor::<SpendPoints>();
    let mut tx = mall.mall.app.db.read(&grant).await.unwrap();
    let paid = redemption::paid_by_points(&mut tx, std::slice::from_ref(&receipt))
        .await
        .unwrap();
    assert_eq!((paid[&receipt].points, paid[&receipt].returned), (150, 150));
    assert_eq!((paid[&receipt].money, paid[&receipt].member), (150, ada));
    mall.assert_books().await;
}
