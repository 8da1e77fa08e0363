//! Who sees what of a closed month.

use rotunda::{
    authz::action::{CloseSettlement, ReadSettlements, ReadStatements},
    kernel::page::Slice,
    settlement::{self, SettlementError},
};

use crate::support::settling::Mall;

#[tokio::test]
async fn a_merchant_sees_its_own_statement_and_payments_and_nobody_elses() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.earns(ada, b, 400, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;
    let closed = mall.closes("2026-06").await.settlement;
    let all = Slice {
        limit: 100,
        after: None,
    };

    let operator = mall.grant_of::<ReadStatements>("operator.auditor", None);
    let mut tx = mall.db.read(&operator).await.unwrap();
    let page = settlement::statements(&mut tx, &operator, closed.id, &all)
        .await
        .unwrap();
    let of = |merchant| {
        page.items
            .iter()
            .find(|row| row.merchant == merchant)
            .unwrap()
    };
    assert_eq!(page.items.len(), 3);
    assert_eq!(of(c.merchant).position.net, 700);

    let own = mall.grant_of::<ReadStatements>("merchant.finance", Some(a.merchant));
    let mut tx = mall.db.read(&own).await.unwrap();
    let seen = settlement::statements(&mut tx, &own, closed.id, &all)
        .await
        .unwrap();
    assert_eq!(seen.items, [of(a.merchant).clone()]);
    let foreign = settlement::statement(&mut tx, &own, of(c.merchant).id).await;
    assert!(matches!(foreign, Err(SettlementError::NotFound)));
    let foreign = settlement::lines(&mut tx, &own, of(c.merchant).id, &all).await;
    assert!(matches!(foreign, Err(SettlementError::NotFound)));

    let payments = mall.grant_of::<ReadSettlements>("merchant.finance", Some(b.merchant));
    let mut tx = mall.db.read(&payments).await.unwrap();
    let seen = settlement::payments(&mut tx, &payments, closed.id, &all)
        .await
        .unwrap();
    let amounts: Vec<i64> = seen.items.iter().map(|line| line.payment.amount).collect();
    assert_eq!(amounts, [100]);
}

#[tokio::test]
async fn another_malls_settlement_is_as_unknown_as_none() {
    let (mall, other) = (
        Mall::open("2026-07-02T00:00:00Z").await,
        Mall::open("2026-07-02T00:00:00Z").await,
    );
    let closed = mall.closes("2026-06").await.settlement;
    let grant = other.grant_of::<ReadSettlements>("operator.auditor", None);
    let mut tx = other.db.read(&grant).await.unwrap();
    let foreign = settlement::get(&mut tx, &grant, closed.id).await;
    assert!(matches!(foreign, Err(SettlementError::NotFound)));
    let grant = other.grant::<CloseSettlement>();
    let mut tx = other.db.write(&grant).await.unwrap();
    let (zone, currency) = (other.tenant.zone, other.tenant.currency);
    let early = settlement::seal(&mut tx, &grant, closed.period, zone, currency).await;
    assert!(matches!(early, Err(SettlementError::NotCutOff(_))));
}
